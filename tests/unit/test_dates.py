"""Dates in questions: which times are meant, by whose clock, and that no text is too odd or too long to be read."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as time_of_day
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lark import Token, UnexpectedToken

from memory_grpc.ranking.dates import DateRange, find, find_dates, matching_ranges, tokens
from memory_grpc.ranking.dates.lunar import dragon_boat, mid_autumn, new_year

DATA = Path(__file__).parents[1] / "data"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
LONGEST_QUERY = 10_000

# The first file is given, the second has siblings of its kinds. A date that nobody can mean is no range.
CASES = [
    json.loads(line)
    for name in ("dates", "date_siblings")
    for line in (DATA / f"{name}.jsonl").read_text().splitlines()
]


def meant(text: str, as_of: datetime = NOW, zone: Any = UTC) -> list[DateRange]:
    return [one for mention in find_dates(text, as_of, zone) for one in mention.ranges]


def written(moment: datetime | None) -> str | None:
    return moment and moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("2 days before 6 July 2023. " * 300, 32),
        ("3 of them " * 900 + "6 July 2023", 0),
        ("3 of them " * 80 + "6 July 2023", 1),
    ],
)
def test_so_many_dates_and_beginnings_are_read_and_no_more(text: str, most: int) -> None:
    assert len(find_dates(text, NOW)) == most


def test_no_more_of_a_text_is_taken_apart_than_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def token(*arguments: Any, **options: Any) -> Token:
        made.append(arguments)
        return Token(*arguments, **options)

    monkeypatch.setattr(tokens, "Token", token)
    find_dates("3 of them " * 900, NOW)
    assert 256 < len(made) < 3 * 512, "of 2,700"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["question"])
def test_a_question_means_the_times_that_people_mean(case: dict[str, Any]) -> None:
    found = meant(case["question"], datetime.fromisoformat(case["as_of"]))
    assert [[written(start), written(end)] for start, end in found] == case["ranges"]


@pytest.mark.parametrize(
    ("text", "zone", "start", "end"),
    [
        ("yesterday", "America/Los_Angeles", "2026-11-24T08:00:00Z", "2026-11-25T08:00:00Z"),
        ("yesterday", "Pacific/Kiritimati", "2026-11-24T10:00:00Z", "2026-11-25T10:00:00Z"),
        ("on 29 March 2026", "Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),  # 23 hours
        ("on 25 October 2026", "Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),  # 25 hours
        ("in March 2026", "Europe/Berlin", "2026-02-28T23:00:00Z", "2026-03-31T22:00:00Z"),
        ("yesterday evening", "Asia/Tokyo", "2026-11-24T08:00:00Z", "2026-11-24T15:00:00Z"),
        ("in the last two hours", "Asia/Tokyo", "2026-11-25T10:00:00Z", "2026-11-25T12:00:00Z"),
        ("at 2026-07-04 09:00", "Asia/Kolkata", "2026-07-04T03:30:00Z", "2026-07-04T03:31:00Z"),
        ("at 2026-07-04T09:00Z", "Asia/Kolkata", "2026-07-04T09:00:00Z", "2026-07-04T09:01:00Z"),
        # 8 September 2024 began at one o'clock there: there was no midnight.
        ("on 8 September 2024", "America/Santiago", "2024-09-08T04:00:00Z", "2024-09-09T03:00:00Z"),
    ],
)
def test_days_are_those_of_the_zone(text: str, zone: str, start: str, end: str) -> None:
    (found,) = meant(text, zone=ZoneInfo(zone))
    assert (written(found.start), written(found.end)) == (start, end)


def test_an_offset_of_as_of_moves_no_days() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=14)))
    assert meant("What did I do yesterday?", there) == meant("What did I do yesterday?", NOW)


def test_what_happened_before_a_day_is_told_on_the_day_too() -> None:
    (found,) = find_dates("What did I buy two weeks before 11 August 2023?", NOW)
    assert [written(one.start) for one in found.told] == ["2023-08-11T00:00:00Z"]
    assert [(written(start), written(end)) for start, end in matching_ranges([found], timedelta(days=1))] == [
        ("2023-07-25T00:00:00Z", "2023-08-02T00:00:00Z"),
        ("2023-08-11T00:00:00Z", "2023-08-13T00:00:00Z"),
    ]


def test_slack_leaves_open_sides_open() -> None:
    found = find_dates("What did I write before 2024?", NOW)
    assert matching_ranges(found, timedelta(days=1)) == (DateRange(None, datetime(2024, 1, 2, tzinfo=UTC)),)


@pytest.mark.parametrize(("feast", "age"), [(new_year, 0), (dragon_boat, 4), (mid_autumn, 14)])
def test_feasts_of_the_chinese_calendar_keep_to_the_moon(feast: Callable[[int], date], age: int) -> None:
    """By the mean new moon of 6 January 2000 and the mean month of Meeus, Astronomical Algorithms, chapter 49; the true
    one is up to 14 hours from it."""
    mean_month, first = 29.530588861, datetime(2000, 1, 6, 14, 20, tzinfo=UTC) + timedelta(hours=8)
    for year in range(1970, 2070):
        noon = datetime.combine(feast(year), time_of_day(12), UTC)
        days = (noon - first) / timedelta(days=1) % mean_month
        assert abs((days - age + 15) % mean_month - 15) < 1.2, year


def test_a_feast_beyond_the_table_is_no_date() -> None:
    assert meant("at Chinese New Year 2070") == []


def test_a_mention_is_the_longest_that_starts_first() -> None:
    text = "Did I call in the first week of June 2025, or last Friday?"
    assert [text[found.start : found.end] for found in find_dates(text, NOW)] == [
        "in the first week of June 2025, or last Friday"
    ]
    text = "Did I call in June of the last crisis, as I said on 6 July 2023?"
    assert [text[found.start : found.end] for found in find_dates(text, NOW)] == ["in June", "on 6 July 2023"]


PIECES = """
in on of from since before after until between by to and or , - . the a few last past this next day week
weekend month year years quarter decade ago now today tonight yesterday monday fri may June sept. 5 5th 31
2024 1,000 2.5 hundred 999999999 first second half early end morning night summer winter christmas easter
25/12/2025 2024-02-30 2025-07 Q1 H2 couple two twenty-one 99999999 1990s earlier later just ſo far
2025-07-04T09:00Z back all through either about / & Friday Fridays summers Christmases nights 24/12 20250706 '98
2025-W27 2023/24 11/2025 twenty-first coming starting ending rest 2025Q2 2H24 '25 FY25 eve Chuseok Epiphany 3 weeks
hour minutes fortnight fortnights decades
"""


EDGES = [datetime.min.replace(tzinfo=UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)]


@settings(deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES.split()), max_size=14).map(" ".join)))
def test_no_text_is_too_odd(text: str) -> None:
    found = find_dates(text, NOW, ZoneInfo("Europe/London"))
    assert found == find_dates(text, NOW, ZoneInfo("Europe/London"))
    assert all(0 <= one.start < one.end <= len(text) for one in found)
    assert all(one.end <= next_.start for one, next_ in pairwise(found))
    for ranges in [matching_ranges(found, timedelta(0)), *(one.ranges for one in found)]:
        assert all(one.start is None or one.end is None or one.start < one.end for one in ranges)
        assert all(a.end is not None and b.start is not None and a.end < b.start for a, b in pairwise(ranges))


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Apia"])
def test_no_sentence_of_the_grammar_is_too_odd(zone: str) -> None:
    """Texts at random, of words that the grammar lets follow each other: rules that few questions reach."""
    words: dict[str, list[Token]] = defaultdict(list)
    for word in sorted({*PIECES.split(), "from now", "this time", "or two", "and a half", "rest of", "more than"}):
        first = next(tokens.tokens(f"{word} | 1"))
        words[first.type].append(first.update(value=(word, first.value)))
    chance = Random(zone)
    for _ in range(5000):
        parser, text = find._PARSER.copy(deepcopy_values=False), ""  # type: ignore[no-untyped-call]
        while len(text) < 60:
            kinds = sorted(words.keys() & set(parser.choices()))
            if not kinds or ("$END" in parser.choices() and chance.random() < 0.2):
                break
            token = chance.choice(words[chance.choice(kinds)])
            word, value = token.value
            text += f"{word} "
            try:
                parser.feed_token(token.update(value=value))
            except (ValueError, OverflowError, UnexpectedToken):
                break
        as_of = chance.choice([NOW, datetime(2024, 2, 29, 23, 59, tzinfo=UTC), *EDGES])
        assert all(one.ranges for one in find_dates(text, as_of, ZoneInfo(zone)))


@pytest.mark.parametrize("as_of", EDGES)
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_no_day_is_too_early_or_too_late(as_of: datetime, zone: str) -> None:
    find_dates("What did I do yesterday, tomorrow, in 2 decades and last Christmas?", as_of, ZoneInfo(zone))


@pytest.mark.parametrize(
    "whole", ["yesterday", "May 2025", "2024", "the 1990s", "Christmas", "this week", "2025-07-04T09:00Z"]
)
@pytest.mark.parametrize(
    "unit", ["second", "minute", "hour", "day", "week", "weekend", "fortnight", "month", "quarter", "year", "decade"]
)
def test_every_unit_beside_or_in_every_date_is_read_or_is_none(unit: str, whole: str) -> None:
    for count in ("first {}", "last {}", "third {}", "first two {}s", "last three {}s"):
        find_dates(f"in the {count.format(unit)} of {whole}", NOW)
    for count in ("{}", "a {}", "two {}s", "a {} or two", "2 and a half {}s"):
        for side in ("before", "after"):
            find_dates(f"in the {count.format(unit)} {side} {whole}", NOW)
            find_dates(f"the last {count.format(unit)} and 3 days {side} {whole} or two {unit}s ago", NOW)


@pytest.mark.parametrize(
    "piece",
    [
        "a ",
        "May ",
        "5 ",
        "last ",
        "May or ",
        "in ",
        "2024 ",
        "5, ",
        "1 week before ",
        "week of ",
        "last year in ",
        "last week in last year in ",
        "1/2/",
        "20250706,",
        "Monday and ",
        "4th, ",
        "2 weeks and 3 days ",
        "2 weeks 3 days ",
        "1 year, ",
        "on 30 June or 31 ",
        "Christmas morning last ",
        "2Q25 H2'",
        "get 3 days back ",
        "two days or ",
        "5 years 2 months 3 days ",
        "for 2 weeks, 3 days ago ",
        "the last 2 weeks and ",
        "the day before Christmas ",
    ],
)
def test_reading_takes_as_long_as_the_text(piece: str) -> None:
    def seconds(length: int) -> float:
        text = (piece * length)[:length]
        started = time.process_time()
        find_dates(text, NOW)
        return time.process_time() - started

    short, long = (min(seconds(length) for _ in range(3)) for length in (LONGEST_QUERY // 8, LONGEST_QUERY))
    assert long < 24 * short + 0.05

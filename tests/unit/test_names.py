"""Participants in a query: who is meant, and that reading it takes as long as the query and the names are, not the one
times the other."""

from __future__ import annotations

import itertools
import json
import string
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_grpc.ranking import HybridWeights, Participants, plan_query
from memory_grpc.ranking.names import find_mentions, forget, rewrite

NOW = datetime(2026, 1, 1, tzinfo=UTC)
_WORDS = ("".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=3))
LONGEST_QUERY = 10_000
# Of a speaker's name 64 characters are kept, of a tenant 1,000 names.
LONG_NAMES = tuple(" ".join(next(_WORDS) for _ in range(16)) for _ in range(1000))
CASES = [json.loads(line) for line in (Path(__file__).parents[1] / "data" / "names.jsonl").read_text().splitlines()]
SPEAKERS = tuple(f"Speaker {number}" for number in range(1000))
ALIKE = tuple(f"Aa Bb {number}q" for number in range(1000))
NEARLY = tuple("人" * 63 + chr(0x4E00 + number) for number in range(1000))


@pytest.mark.parametrize(
    ("query", "names", "named"),
    [
        ("小明说了什么", ("小明",), {"小明"}),
        ("小明明说了什么", ("小明", "小明明"), {"小明明"}),
        ("我和Anna去", ("Anna",), {"Anna"}),
        ("John Smith or John", ("John Smith", "John Doe"), {"John Smith", "John Doe"}),
        ("Did May call in May?", ("May",), {"May"}),
        ("Did I go in May?", ("May",), set()),
        ("Ann Ann Ann", ("Ann", "Ann Lee"), {"Ann"}),
        ("Will he come?", ("Will",), set()),
        ('"  (Will he come?', ("Will",), set()),
        ("Then Will came", ("Will",), {"Will"}),
    ],
)
def test_who_is_named(query: str, names: tuple[str, ...], named: set[str]) -> None:
    plan = plan_query(query, Participants(names), NOW, HybridWeights())
    assert set(plan.speaker_names) == named


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['question']} {case['names']}")
def test_the_one_who_is_meant_is_named_or_nobody(case: dict[str, Any]) -> None:
    who = Participants(tuple(case["names"]), tuple(case.get("roles", ())))
    plan = plan_query(case["question"], who, NOW, HybridWeights())
    assert list(plan.speaker_names) == sorted(case["named"])
    assert list(plan.speaker_roles) == case.get("named_roles", [])
    assert len(plan.date_ranges) == case.get("dates", len(plan.date_ranges))


@pytest.mark.parametrize(
    ("query", "names", "rewritten"),
    [
        ("What did van der Berg's son eat?", ("Anna van der Berg",), "What did my son eat?"),
        ("What did @ann_b and Speaker 2 eat?", ("ann_b", "Speaker 2"), "What did I and I eat?"),
        ("What did ann@example.com's son eat?", ("ann@example.com",), "What did my son eat?"),
        ("Was the user's letter from April?", ("User", "April"), "Was my letter from I?"),
        ("Did Mr. de la Cruz meet Dr. O’Neill?", ("Juan de la Cruz", "Shaq O'Neill"), "Did I meet I?"),
        ("What did the Smiths' dog eat?", ("Ann Smith",), "What did my dog eat?"),
        ("Did the van der Bergs call the O'Neills?", ("Anna van der Berg", "Shaq O'Neill"), "Did I call I?"),
        ("What did J. R. eat at 5 p.m.?", ("JR", "PM"), "What did I eat at 5 p.m.?"),
        ("Did J.R.'s son call?", ("JR",), "Did my son call?"),
        ("What did speakers 1 and 2 eat?", ("Speaker 1", "Speaker 2"), "What did I eat?"),
        ("What did the speaker eat in May?", ("Speaker 2", "May"), "What did the speaker eat in May?"),
        ("The Smiths moved, where to?", ("Ann Smith",), "I moved, where to?"),
        ("The van der Bergs moved, where to?", ("Ann van der Berg",), "I moved, where to?"),
    ],
)
def test_a_name_is_replaced_as_a_whole(query: str, names: tuple[str, ...], rewritten: str) -> None:
    assert plan_query(query, Participants(names), NOW, HybridWeights()).embedding_text == rewritten


_PIECES = [
    "Ann",
    "ann",
    "B",
    "b",
    "2",
    "02",
    "a",
    "van",
    "der",
    "Berg",
    "May",
    "may",
    "in",
    "from",
    "did",
    "the",
    "user",
]
_PIECES += [
    "José",
    "jose",
    "e\u0301",
    "小明",
    "민수가",
    "@",
    ".",
    "_",
    "-",
    " ",
    " ",
    " ",
    "'s",
    "’",
    "?",
    "://",
    "Ⅷ",
    "²",
    "İ",
]
_texts = st.lists(st.sampled_from(_PIECES), max_size=20).map("".join) | st.text(max_size=60)


@given(text=_texts, names=st.lists(_texts, max_size=6, unique=True))
def test_whatever_is_asked_and_whoever_speaks_the_reading_is_pure_and_within_the_text(
    text: str, names: list[str]
) -> None:
    who = Participants(tuple(names), ("user", "assistant"))
    mentions = find_mentions(text, who)
    places = [place for mention in mentions for place in (mention.start, mention.possessive_end or mention.end)]
    assert places == sorted(places)
    assert all(0 <= mention.start < mention.end <= len(text) for mention in mentions)
    assert all(mention.names or mention.roles for mention in mentions)
    assert all(mention.names <= set(names) for mention in mentions)
    rewrite(text, mentions)
    forget()
    assert find_mentions(text, Participants(tuple(reversed(names)), who.roles)) == mentions


@given(
    name=st.text(string.ascii_uppercase, min_size=2, max_size=2).map(lambda text: "Xq" + text.lower()), others=_texts
)
def test_a_name_that_is_no_other_word_is_found_however_it_is_written(name: str, others: str) -> None:
    for said in (name, name.lower(), name.upper(), f"@{name}"):
        (mention,) = find_mentions(f"what about {said}, then?", Participants((name, f"{others} Zv 1")))
        assert mention.names == {name}


@pytest.mark.parametrize(
    ("query", "names"),
    [("Speaker 7 ", SPEAKERS), ("Aa Bb, ", ALIKE), ("一人", NEARLY), ("@a.a@a.", SPEAKERS), ("a-1'", SPEAKERS)],
    ids=["numbered", "two words", "unspaced", "addresses", "pieces"],
)
def test_twice_the_query_takes_twice_the_calls(query: str, names: tuple[str, ...]) -> None:
    def calls(length: int) -> int:
        count = 0

        def counted(frame: FrameType, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        text = (query * length)[:length]
        find_mentions(text, Participants(names))  # what is kept of the names is kept for both
        sys.setprofile(counted)
        try:
            find_mentions(text, Participants(names))
        finally:
            sys.setprofile(None)
        return count

    assert calls(4_000) < 2.1 * calls(2_000)


def test_words_that_are_read_as_a_date_name_nobody_wherever_they_stand() -> None:
    text = "Did May, 1 May, 2 May call May"
    spans = [(9, 14), (16, 21)]
    assert [(m.start, m.end) for m in find_mentions(text, Participants(("May",)), spans)] == [(4, 7), (27, 30)]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("一", LONG_NAMES),
        ("人", NEARLY),
        ("Aa, ", ALIKE),
        ("Aa ", ALIKE),
        ("Aa Bb, ", ALIKE),
        ("Aa 1 May, ", ALIKE),
        ("Speaker 7 ", SPEAKERS),
        ("@a.a@a.", SPEAKERS),
        ("the Aas ", ALIKE),
        ("A. B. ", SPEAKERS),
        ("5 p.m. ", SPEAKERS),
    ],
    ids=[
        "unspaced",
        "nearly",
        "alike",
        "one run",
        "two words",
        "dates",
        "numbered",
        "addresses",
        "families",
        "initials",
        "times of day",
    ],
)
def test_the_longest_query_is_read_in_a_moment_whoever_speaks_in_the_tenant(query: str, names: tuple[str, ...]) -> None:
    text = (query * LONGEST_QUERY)[:LONGEST_QUERY]
    # Of this thread alone, so that a busy machine changes nothing; the collector, which may run in it, takes a second
    # after thousands of tests. The name times the query took up to 17 seconds.
    started = time.thread_time()
    plan_query(text, Participants(names), NOW, HybridWeights())
    assert time.thread_time() - started < 3

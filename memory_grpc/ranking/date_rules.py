"""What the ways of writing a date mean: one pattern and one small function each.

English, as the default text-search configuration is. Weeks start on Monday, seasons are those of the northern
hemisphere, days are UTC days. Where the year is left out, the last occurrence that has begun by as_of is meant. A date
that is written in an ambiguous order (5/7/2023) is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta

from memory_grpc.ranking import periods
from memory_grpc.ranking.periods import DateRange

Rule = tuple[re.Pattern[str], Callable[[re.Match[str], datetime], list[DateRange]]]

_MONTHS = {name: number for number, names in enumerate(
    ("january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul", "august aug",
     "september sept sep", "october oct", "november nov", "december dec"), 1) for name in names.split()}  # fmt: skip
_WEEKDAYS = {name: number for number, name in enumerate(
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"])}  # fmt: skip
_NUMBERS = {name: number for number, name in enumerate(
    "zero one two three four five six seven eight nine ten eleven twelve".split())}  # noqa: SIM905  # fmt: skip
_NUMBERS |= {"a": 1, "an": 1, "a couple of": 2, "a couple": 2, "couple of": 2, "a few": 3, "few": 3, "several": 4}
_SEASONS = {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}
_ORDINALS = {"first": 0, "1st": 0, "second": 1, "2nd": 1, "third": 2, "3rd": 2, "fourth": 3, "4th": 3, "last": 3}
_PARTS = {"beginning": (1, 10), "start": (1, 10), "middle": (11, 20), "end": (21, 31)}


def _any(words: dict[str, int]) -> str:
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)).replace(" ", r"\s+") + ")"


_FULL_MONTH = _any({name: 0 for name in _MONTHS if len(name) > 4 or name in ("may", "june", "july")})
_MONTH, _YEAR, _DAY = rf"{_any(_MONTHS)}\b\.?", r"(?:19|20)\d\d", r"(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?"
_COUNT = rf"(?:\d{{1,4}}|{_any(_NUMBERS)})"
_TO = r"\s*(?P<to>-|–|—|\bto\b|\band\b|\bthrough\b|\buntil\b)\s*"
# A month or a year alone is a date only after a word that makes it one: people are called April, and 2000 is a count.
_IN = (
    r"(?:in|during|since|of|by|until|till|before|after|around|for|from|through|throughout|between|early|mid|late"
    r"|as\s+of)"
)
_DATE = (  # a whole day; the letter tells the groups of two dates in one pattern apart
    rf"(?:(?P<Y_>{_YEAR})(?P<sep_>[-/.])(?P<m_>\d\d?)(?P=sep_)(?P<d_>\d\d?)\b"
    rf"|(?P<d2_>{_DAY})(?:\s+of)?\s+(?P<M2_>{_MONTH})(?:,?\s*(?P<Y2_>{_YEAR}))?\b"
    rf"|(?P<M3_>{_MONTH})\s*(?:the\s+)?(?P<d3_>{_DAY})\b(?!\s*:\d)(?:,?\s*(?P<Y3_>{_YEAR})\b)?)"
)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{text})(?!\w)", re.IGNORECASE)


def _day_pattern(letter: str) -> str:
    return _DATE.replace("_>", letter + ">").replace("(?P=sep_)", f"(?P=sep{letter})")


def _key(text: str) -> str:
    return " ".join(text.lower().rstrip(".").split())


def _number(text: str) -> int:
    key = _key(text)
    return _NUMBERS[key] if key in _NUMBERS else int(key)


def _month_number(text: str) -> int:
    return _MONTHS[_key(text)]


def _latest(number: int, day: int, as_of: datetime) -> date:
    """The last such day that is not after as_of; 29 February may lie up to eight years back."""
    for back in range(9):
        try:
            found = date(as_of.year - back, number, day)
        except ValueError:
            continue
        if found <= as_of.date():
            return found
    raise ValueError(f"no day {day} in month {number}")


def _day(match: re.Match[str], letter: str, as_of: datetime, year: str | None = None) -> date:
    """The day that the groups of `_day_pattern(letter)` hold."""

    def group(name: str) -> str | None:
        return match.group(name + letter)

    numeral = group("d") or group("d2") or group("d3") or ""
    month_name = group("M2") or group("M3")
    number = _month_number(month_name) if month_name else int(group("m") or "")
    year = group("Y") or group("Y2") or group("Y3") or year
    day = int(re.sub(r"\D", "", numeral))
    return date(int(year), number, day) if year else _latest(number, day, as_of)


def _one_day(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    return [periods.days(_day(match, "a", as_of), 1)]


def _first_to_last(match: re.Match[str], first: date, last: date) -> list[DateRange]:
    """All days from first to last; only the two when they are listed with "and" and not between."""
    text = match.group().lower()
    if match["to"].strip().lower() == "and" and not text.startswith("between"):
        return [periods.days(first, 1), periods.days(last, 1)]
    return [DateRange(periods.midnight(first), periods.midnight(last + timedelta(days=1)))]


def _two_days(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    last = _day(match, "b", as_of)
    first = _day(match, "a", as_of, str(last.year))
    if first > last:
        first = first.replace(year=first.year - 1)
    return _first_to_last(match, first, last)


def _days_of_month(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    numerals = (int(re.sub(r"\D", "", match.group(name))) for name in ("first", "last"))
    number = _month_number(match["month"])
    first, last = (
        date(int(match["year"]), number, day) if match["year"] else _latest(number, day, as_of) for day in numerals
    )
    return _first_to_last(match, first, last)


def _whole_month(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    number = _month_number(match["month"])
    year = int(match["year"]) if match["year"] else _latest(number, 1, as_of).year
    return [periods.month(year, number)]


def _part_of_month(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    (start, end), part = _whole_month(match, as_of)[0], _key(match["part"])
    length = (end - start).days
    first_word = part.split()[0]
    if part.endswith("half"):
        first, last = (1, 15) if first_word == "first" else (16, length)
    elif part.endswith("week"):
        first = _ORDINALS[first_word] * 7 + 1 if first_word != "last" else length - 6
        last = first + 6
    else:
        first, last = _PARTS[part]
    return [periods.days(start.date() + timedelta(days=first - 1), min(last, length) - first + 1)]


def _last_month_named(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    number = _month_number(match["month"])
    found = _latest(number, 1, as_of)
    current = (found.year, found.month) == (as_of.year, as_of.month)
    return [periods.month(found.year - (current and match["which"].lower() == "last"), number)]


def _season(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    number = _SEASONS[_key(match["season"])]
    if match["year"] and number == 12:  # "winter 2023" is said of both of its ends
        year = int(match["year"])
        return [periods.month(year, 1, 2), periods.month(year, 12, 3)]
    found = periods.month(int(match["year"]) if match["year"] else _latest(number, 1, as_of).year, number, 3)
    if not match["year"] and (match["which"] or "").lower() == "last" and found.end > as_of:
        found = periods.month(found.start.year - 1, number, 3)
    return [found]


def _whole_year(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    return [periods.year(int(match["year"]))]


def _near_day(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    text = _key(match.group())
    back = 2 if text.startswith("the day before") else 1 if text in ("yesterday", "last night") else 0
    return [periods.days(as_of.date() - timedelta(days=back), 1)]


def _back(count: int, unit: str, as_of: datetime) -> DateRange:
    """The one unit that lies `count` units back: as exact as people are when they say "two weeks ago"."""
    today = as_of.date()
    if unit in ("minute", "hour"):
        width = timedelta(minutes=1) if unit == "minute" else timedelta(hours=1)
        return periods.centred(as_of - count * width, max(width, count * width / 2))
    if unit == "day":
        return periods.days(today - timedelta(days=count), 1)
    if unit in ("week", "fortnight"):
        weeks = count * (2 if unit == "fortnight" else 1)
        return periods.days(today - timedelta(days=7 * weeks + 3), 7)
    if unit == "weekend":
        return periods.days(periods.week_of(today) - timedelta(days=7 * count - 5), 2)
    if unit == "month":
        first = periods.add_months(today, -count)
        return periods.month(first.year, first.month)
    return periods.year(today.year - count)


def _ago(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    count, unit = _number(match["count"]), _key(match["unit"])
    if _key(match["count"]).endswith(("few", "several")):  # a few is two to five
        far, near = _back(5, unit, as_of), _back(2, unit, as_of)
        return [DateRange(far.start, near.end)]
    return [_back(count, unit, as_of)]


def _last_units(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    count = _number(match["count"])
    unit = {"hour": timedelta(hours=1), "day": timedelta(1), "week": timedelta(7), "month": timedelta(30.5)}
    return [DateRange(as_of - count * unit.get(_key(match["unit"]), timedelta(365.25)), as_of)]


def _this_or_last(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    which, unit, today = _key(match["which"]), _key(match["unit"]), as_of.date()
    back = 0 if which in ("this", "the current", "current") else 1
    if unit == "week":
        return [periods.days(periods.week_of(today) - timedelta(days=7 * back), 7)]
    if unit == "weekend" and not back:
        return [periods.days(periods.week_of(today) + timedelta(days=5), 2)]
    return [_back(back, unit, as_of)]


def _weekday(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    today = as_of.date() + timedelta(days=0 if match["which"].lower() in ("last", "past", "previous") else 1)
    return [periods.days(periods.weekday_before(today, _WEEKDAYS[_key(match["weekday"])]), 1)]


def _beside_day(match: re.Match[str], as_of: datetime) -> list[DateRange]:
    """ "two weeks before 11 August": the time meant, and the day named, on which it is talked about."""
    anchor = _day(match, "a", as_of)
    after = match["side"].lower() in ("after", "following")
    if match["weekday"]:
        number = _WEEKDAYS[_key(match["weekday"])]
        found = periods.weekday_before(anchor + timedelta(days=8 if after else 0), number)
        meant = periods.days(found, 1)
    elif match["count"]:
        count, unit = _number(match["count"]), _key(match["unit"])
        meant = _back(-count if after else count, unit, periods.midnight(anchor))
    elif match["unit"].lower() == "weekend":
        meant = periods.days(periods.weekday_before(anchor + timedelta(days=8 if after else 0), 5), 2)
    else:
        length = {"day": 1, "week": 7, "month": 30}.get(_key(match["unit"]), 7)
        meant = periods.days(anchor + timedelta(days=1 if after else -length), length)
    return [meant, periods.days(anchor, 1)]


_UNIT = r"(?P<unit>minute|hour|day|weekend|week|fortnight|month|year)"
_A_WEEKDAY = rf"(?P<weekday>{_any(_WEEKDAYS)})"

_LEAD = rf"(?:{_IN}\s+)?(?:the\s+)?"
_MONTH_GROUP, _YEAR_GROUP = rf"(?P<month>{_MONTH})", rf"(?:,?\s+(?P<year>{_YEAR}))"
_SEASON_GROUP = rf"(?P<season>{_any(_SEASONS)})"

RULES: tuple[Rule, ...] = tuple(
    (_pattern(text), meaning)
    for text, meaning in (
        (
            rf"(?:in\s+)?(?:the\s+|last\s+)?(?:(?P<count>{_COUNT})\s+)?(?:{_UNIT}s?|{_A_WEEKDAY})\s+"
            rf"(?P<side>before|prior\s+to|after|following)\s+(?:the\s+)?{_day_pattern('a')}",
            _beside_day,
        ),
        (rf"{_LEAD}{_day_pattern('a')}{_TO}(?:the\s+)?{_day_pattern('b')}", _two_days),
        (rf"{_LEAD}{_MONTH_GROUP}\s+(?P<first>{_DAY}){_TO}(?P<last>{_DAY}){_YEAR_GROUP}?", _days_of_month),
        (
            rf"{_LEAD}(?P<first>{_DAY}){_TO}(?:the\s+)?(?P<last>{_DAY})(?:\s+of)?\s+{_MONTH_GROUP}{_YEAR_GROUP}?",
            _days_of_month,
        ),
        (rf"{_LEAD}{_day_pattern('a')}", _one_day),
        (
            rf"{_LEAD}(?P<part>{_any(_ORDINALS)}\s+(?:half|week)|beginning|start|middle|end)\s+of\s+"
            rf"{_MONTH_GROUP}{_YEAR_GROUP}?",
            _part_of_month,
        ),
        (rf"{_LEAD}{_MONTH_GROUP}(?:\s+of)?{_YEAR_GROUP}", _whole_month),
        (rf"{_IN}\s+(?P<month>{_FULL_MONTH})(?P<year>(?!))?", _whole_month),
        (rf"(?P<which>last|this|past)\s+(?P<month>{_FULL_MONTH})", _last_month_named),
        (
            rf"(?:(?:in|during|over|of)(?:\s+the)?|(?P<which>last|this|past))\s+{_SEASON_GROUP}"
            rf"(?:(?:\s+of)?{_YEAR_GROUP})?",
            _season,
        ),
        (rf"{_SEASON_GROUP}(?:\s+of)?{_YEAR_GROUP}(?P<which>(?!))?", _season),
        (rf"{_IN}\s+(?P<year>{_YEAR})", _whole_year),
        (
            r"the\s+day\s+before\s+yesterday|yesterday|last\s+night|today|tonight|this\s+(?:morning|afternoon|evening)",
            _near_day,
        ),
        (rf"(?P<count>{_COUNT})\s+{_UNIT}s?\s+ago", _ago),
        (rf"(?:last|past|previous)\s+(?P<count>{_COUNT})\s+{_UNIT}s?", _last_units),
        (rf"(?P<which>last|past|previous|this|current)\s+{_UNIT}", _this_or_last),
        (rf"(?P<which>last|past|previous|this|on)\s+{_A_WEEKDAY}", _weekday),
    )
)

"""What a reading means: the spans of time, worked out on a calendar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeGuard

from memory_grpc.ranking.dates.spans import Calendar, DateRange, NoSuchDay, Span, add_months, week_of

Spans = Callable[[Calendar], list[Span]]
Part = tuple[float, str]
"""So many of a unit."""

_FIRST_YEAR: Final = 1000

ALWAYS: Final = frozenset({""})
"""A date wherever it stands."""
AFTER_A_WORD: Final = frozenset({"IN", "ON", "OF", "FOR", "FROM", "BOUND", "THROUGH"})
"""A date only after a word that makes it one: people are called April, and 2000 is a count."""
LOOSELY: Final = AFTER_A_WORD - {"THROUGH"} | {"LOOSE"}
"""After such a word, or where nothing else can be meant: "What did I do Friday?"."""
AFTER_A_SPAN: Final = frozenset({"IN", "ON", "OF", "BOUND"})
AFTER_A_BOUND: Final = frozenset({"IN", "BOUND"})
AFTER_ON: Final = frozenset({"ON", "BOUND", "FROM"})
AFTER_IN: Final = frozenset({"IN"})


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a date means: `of` gives its spans."""

    of: Spans
    needs: frozenset[str] = ALWAYS
    """After which kinds of words it is a date."""
    is_full: bool = True
    """Whether it says in which year or month it is, or counts from now."""
    number: int | None = None
    """Of a bare number, and of a year: "5" in "5 to 7 May", "2022" in "winter 2021 - 2022"."""
    numbers: tuple[int, ...] = ()
    """Of several bare numbers: "the 4th, 5th" of "the 4th, 5th and 6th of May"."""
    like: Callable[[int], Meaning] | None = None
    """The same with another number: "6 May" as "5 May"."""
    over: Callable[[int], Meaning] | None = None
    """What it is together with the year that follows: "winter 2021 - 2022"."""
    is_day: bool = False
    """Whether it is a day with a name of its own, on which what lies beside it is told of."""
    ends_bare: bool = False
    """Whether it ends with a number that may count what follows: "the 3rd floor"."""
    around: int = 0
    """How many days on each side of a day it takes in: of a holiday that is celebrated around its day."""
    counted: tuple[Part, ...] = ()
    """The counts of units that it has: of "2 weeks" in "2 weeks and 3 days ago"."""
    more: Callable[[tuple[Part, ...]], Meaning] | None = None
    """The same with those before its own: "2 weeks and 3 days ago" of "3 days ago"."""
    longer: Callable[[tuple[Part, ...]], Meaning] | None = None
    """The same with those after its own: "the last 2 weeks" as "the last 2 weeks and 3 days"."""
    also: Callable[[Part], Meaning] | None = None
    """The same with another count alone: "two weeks ago" as "two days ago"."""
    during: Spans | None = None
    """What it means after "in", where that is more: all of "in the two weeks before 6 July"."""
    told: Spans | None = None
    """When it is spoken of, where that is another time: what happened the week before a day is told on the day."""

    def stands(self, after: str) -> bool:
        """Whether it is a date after a word of that kind."""
        return self.needs is ALWAYS or after in self.needs

    def one(self, calendar: Calendar) -> Span:
        """From the first instant to the last."""
        spans = self.of(calendar)
        return Span(min(span.start for span in spans), max(span.end for span in spans))

    def itself(self, calendar: Calendar) -> Span:
        """The same without the days around it: other dates are counted from Christmas Day, not from its neighbours."""
        span = self.one(calendar)
        if not self.around:
            return span
        first, end = add_days(span.start, calendar, self.around), add_days(span.end, calendar, -self.around)
        return Span(calendar.clock(first), calendar.clock(end))


Year = Callable[[Calendar], int]
"""A year that is named, or counted from this one."""


def fixed(of: Callable[[Calendar], Span], needs: frozenset[str] = ALWAYS, **more: Any) -> Meaning:
    """A meaning of one span."""
    return Meaning(lambda calendar: [of(calendar)], needs, **more)


def matched(first: Meaning, last: Meaning) -> tuple[Meaning, Meaning]:
    """Two dates of which one has the month or the unit of both: "5 to 7 May", "two or three days ago"."""
    if _is_count(first.number) and last.like is not None:
        return last.like(first.number), last
    if _is_count(last.number) and first.like is not None:
        return first, first.like(last.number)
    return first, last


def counted_alike(first: Meaning, last: Meaning) -> tuple[Meaning, Meaning]:
    """Two counts of units of which one says from where, or how: "two days or a week ago", "the last hour or 2 days"."""
    if first.longer is not None:
        if first.also is not None and last.needs is AFTER_IN and len(last.counted) == 1:
            return first, first.also(last.counted[0])
    elif last.also is not None and first.needs is AFTER_IN and len(first.counted) == 1:
        return last.also(first.counted[0]), last
    return first, last


def _is_count(number: int | None) -> TypeGuard[int]:
    """And no year: "5 June 2023 to 2025"."""
    return number is not None and number < _FIRST_YEAR


def through(first: Meaning, last: Meaning, calendar: Calendar) -> Span:
    """From the start of the first to the end of the last."""
    if last.number is not None and first.over is not None:
        return first.over(last.number).one(calendar)
    if _is_count(first.number) and last.like is not None:
        first = last.like(first.number)
        ends = first.one(calendar), last.one(calendar)  # "two to three weeks ago" goes back
        return Span(min(ends).start, max(end.end for end in ends)) if first.is_full else _in_turn(first, last, calendar)
    first, last = matched(first, last)
    return _in_turn(first, last, calendar)


def _in_turn(first: Meaning, last: Meaning, calendar: Calendar) -> Span:
    if first.is_full and not last.is_full:
        start = first.one(calendar).start
        end = last.one(on(calendar, add_days(start, calendar, 364))).end
    else:
        end_span = last.one(calendar)
        end = end_span.end
        start = first.one(calendar if first.is_full else on(calendar, calendar.day_of(end_span.start))).start
    if start >= end:
        raise ValueError("ends before it starts")
    return Span(start, end)


def both(first: Meaning, last: Meaning, calendar: Calendar) -> list[Span]:
    """The spans of the first and of the last, which may say the year of both. Of "30 June or 31" what there is."""
    if last.like is not None and first.numbers:
        return _existing([*map(last.like, first.numbers), last], calendar)
    first, last = matched(first, last)
    if first.is_full or not last.is_full:
        return _existing([first, last], calendar)
    spans = last.of(calendar)
    return first.of(on(calendar, calendar.day_of(spans[0].start))) + spans


def _existing(several: list[Meaning], calendar: Calendar) -> list[Span]:
    """The spans of those that name a day that there is. NoSuchDay where none does."""
    found, missing = list[Span](), None
    for one in several:
        try:
            found += one.of(calendar)
        except NoSuchDay as error:
            missing = error
    if missing and not found:
        raise missing
    return found


def on(calendar: Calendar, day: date) -> Calendar:
    """The calendar for dates that are the last by `day`."""
    return Calendar(calendar.as_of, calendar.zone, day)


def add_days(instant: datetime, calendar: Calendar, days: int) -> date:
    """The day `days` after the day of an instant."""
    return calendar.day_of(instant) + timedelta(days=days)


def until(end: datetime) -> list[DateRange]:
    """Everything before an instant."""
    return [DateRange(None, end)]


def since(start: datetime, calendar: Calendar) -> list[DateRange]:
    """From an instant up to now; open where the instant is still to come."""
    return [DateRange(start, calendar.as_of if start < calendar.as_of else None)]


def in_a_week(calendar: Calendar) -> date:
    """The day before which a weekday is the next."""
    return calendar.today + timedelta(days=8)


def weekend_near(day: date, calendar: Calendar) -> Span:
    """The weekend that a day belongs to: of a Monday the one before, of another day that of its week."""
    return calendar.days(day + timedelta(days=(5 - day.weekday() + 2) % 7 - 2), 2)


def unit_of(day: date, unit: str, calendar: Calendar, back: int = 0) -> Span:
    """The calendar's own week, month … that holds a day, or the one `back` before it."""
    match unit:
        case "day":
            return calendar.days(day - timedelta(days=back))
        case "week":
            return calendar.days(week_of(day) - timedelta(days=7 * back), 7)
        case "weekend":
            return calendar.days(week_of(day) + timedelta(days=5 - 7 * back), 2)
        case "month":
            first = add_months(day, -back)
            return calendar.month(first.year, first.month)
        case "quarter":
            first = add_months(date(day.year, (day.month - 1) // 3 * 3 + 1, 1), -3 * back)
            return calendar.month(first.year, first.month, 3)
        case "year":
            return calendar.month(day.year - back, 1, 12)
        case "decade":
            return calendar.month(day.year // 10 * 10 - 10 * back, 1, 120)
    raise ValueError(f"no {unit} of a calendar")

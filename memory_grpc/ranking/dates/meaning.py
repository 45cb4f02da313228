"""What a reading means: the spans of time, worked out on a calendar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeGuard

from memory_grpc.ranking.dates.spans import Calendar, DateRange, Span, add_months, week_of

Spans = Callable[[Calendar], list[Span]]

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
    told: Spans | None = None
    """When it is spoken of, where that is another time: what happened the week before a day is told on the day."""

    def stands(self, after: str) -> bool:
        """Whether it is a date after a word of that kind."""
        return self.needs is ALWAYS or after in self.needs

    def one(self, calendar: Calendar) -> Span:
        """From the first instant to the last."""
        spans = self.of(calendar)
        return Span(min(span.start for span in spans), max(span.end for span in spans))


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
    """The spans of the first and of the last, which may say the year of both."""
    if last.like is not None and first.numbers:
        return [last.like(number).one(calendar) for number in first.numbers] + last.of(calendar)
    first, last = matched(first, last)
    if first.is_full or not last.is_full:
        return first.of(calendar) + last.of(calendar)
    spans = last.of(calendar)
    return first.of(on(calendar, calendar.day_of(spans[0].start))) + spans


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


def third(span: Span, which: int, calendar: Calendar) -> Span:
    """The early, the middle or the late part: ten days of a month, else a third of the months or of the days."""
    first, end = calendar.day_of(span.start), calendar.day_of(span.end)
    months = (end.year - first.year) * 12 + end.month - first.month
    if months == 1 and first.day == 1:
        start = first + timedelta(days=10 * which)
        return Span(calendar.clock(start), span.end if which == 2 else calendar.clock(start + timedelta(days=10)))
    if months >= 3 and first.day == 1 and months % 3 == 0:
        start = add_months(first, which * months // 3)
        return Span(calendar.clock(start), calendar.clock(add_months(start, months // 3)))
    days = (end - first).days
    if days < 3:
        raise ValueError("too short to have parts")
    bounds = [first + timedelta(days=days * part // 3) for part in range(4)]
    return Span(calendar.clock(bounds[which]), calendar.clock(bounds[which + 1]))


def nth(span: Span, number: int, unit: str, calendar: Calendar) -> Span:
    """The `number`-th unit of a span, the last for -1; weeks count from its first day. ValueError past its end."""
    first, end = calendar.day_of(span.start), calendar.day_of(span.end)
    months = (end.year - first.year) * 12 + end.month - first.month
    if unit in ("quarter", "half", "month"):
        if unit == "half" and months == 1:
            half = first + timedelta(days=15)
            return [Span(span.start, calendar.clock(half)), Span(calendar.clock(half), span.end)][place(number, 2)]
        length = {"quarter": 3, "half": months // 2, "month": 1}[unit]
        if not length:
            raise ValueError("too short to have halves")
        start = add_months(first, length * place(number, months // length))
        return calendar.month(start.year, start.month, length)
    if unit == "weekend":
        saturdays = weekdays(first, end, 5)
        return calendar.days(saturdays[place(number, len(saturdays))], 2)
    length = {"day": 1, "week": 7}[unit]
    if number < 0:
        return calendar.days(end - timedelta(days=length), length)
    start = first + timedelta(days=length * (number - 1))
    if start >= end:
        raise ValueError("past its end")
    return Span(calendar.clock(start), min(span.end, calendar.clock(start + timedelta(days=length))))


def several(span: Span, count: int, unit: str, are_last: bool, calendar: Calendar) -> Span:
    """The first or the last so many days, weeks or months of a span."""
    first, end = calendar.day_of(span.start), calendar.day_of(span.end)
    if unit in ("month", "quarter") and first.day == end.day == 1:
        months = count * (3 if unit == "quarter" else 1)
        edge = add_months(end if are_last else first, -months if are_last else months)
    else:
        days = count * {"day": 1, "week": 7}[unit]
        edge = end - timedelta(days=days) if are_last else first + timedelta(days=days)
    if not first <= edge <= end:
        raise ValueError("past its end")
    return Span(calendar.clock(edge), span.end) if are_last else Span(span.start, calendar.clock(edge))


def in_a_week(calendar: Calendar) -> date:
    """The day before which a weekday is the next."""
    return calendar.today + timedelta(days=8)


def weekdays(first: date, end: date, weekday: int) -> list[date]:
    """The days from first to before end that fall on a weekday."""
    start = first + timedelta(days=(weekday - first.weekday()) % 7)
    return [start + timedelta(days=days) for days in range(0, max(0, (end - start).days), 7)]


def place(number: int, count: int) -> int:
    """The index of the `number`-th of `count`, of the last for -1. ValueError where there is none."""
    index = count - 1 if number < 0 else number - 1
    if not 0 <= index < count:
        raise ValueError("past its end")
    return index


_HOURS: Final = {"morning": (5, 12), "afternoon": (12, 17), "evening": (17, 24), "night": (17, 29)}


def part_of_day(spans: Iterable[Span], part: str, calendar: Calendar) -> list[Span]:
    """The hours of each span, which must be days."""
    first, last = _HOURS[part]
    found = []
    for span in spans:
        day = calendar.day_of(span.start)
        if span != calendar.days(day):
            raise ValueError("no day")
        found.append(Span(calendar.clock(day, first), calendar.clock(day, last)))
    return found


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

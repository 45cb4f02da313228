"""Parts of spans: the early and the late one, the n-th unit, the hours of a day."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final

from memory_grpc.ranking.dates.spans import Calendar, Span, add_months

MONTHS: Final = {"month": 1, "quarter": 3, "year": 12, "decade": 120}
DAYS: Final = {"day": 1, "week": 7, "fortnight": 14}
"""How many months and days there are in a unit that has a whole number of them."""


def _days(unit: str) -> int:
    if unit not in DAYS:
        raise ValueError(f"no {unit} of a span is counted")
    return DAYS[unit]


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
    if unit in MONTHS or unit == "half":
        if unit == "half" and months == 1:
            half = first + timedelta(days=15)
            return [Span(span.start, calendar.clock(half)), Span(calendar.clock(half), span.end)][place(number, 2)]
        length = months // 2 if unit == "half" else MONTHS[unit]
        if not length:
            raise ValueError("too short to have halves")
        start = add_months(first, length * place(number, months // length))
        return calendar.month(start.year, start.month, length)
    if unit == "weekend":
        saturdays = weekdays(first, end, 5)
        return calendar.days(saturdays[place(number, len(saturdays))], 2)
    length = _days(unit)
    if number < 0:
        return calendar.days(end - timedelta(days=length), length)
    start = first + timedelta(days=length * (number - 1))
    if start >= end:
        raise ValueError("past its end")
    return Span(calendar.clock(start), min(span.end, calendar.clock(start + timedelta(days=length))))


def several(span: Span, count: int, unit: str, are_last: bool, calendar: Calendar) -> Span:
    """The first or the last so many days, weeks or months of a span."""
    first, end = calendar.day_of(span.start), calendar.day_of(span.end)
    if unit in MONTHS and first.day == end.day == 1:
        months = count * MONTHS[unit]
        edge = add_months(end if are_last else first, -months if are_last else months)
    else:
        days = count * _days(unit)
        edge = end - timedelta(days=days) if are_last else first + timedelta(days=days)
    if not first <= edge <= end:
        raise ValueError("past its end")
    return Span(calendar.clock(edge), span.end) if are_last else Span(span.start, calendar.clock(edge))


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


def part_of_day(spans: Iterable[Span], part: str, calendar: Calendar, around: int = 0) -> list[Span]:
    """The hours of each span, which must be days, or days with so many on each side."""
    first, last = _HOURS[part]
    found = []
    for span in spans:
        day = calendar.day_of(span.start) + timedelta(days=around)
        if span != calendar.days(day - timedelta(days=around), 1 + 2 * around):
            raise ValueError("no day")
        found.append(Span(calendar.clock(day, first), calendar.clock(day, last)))
    return found

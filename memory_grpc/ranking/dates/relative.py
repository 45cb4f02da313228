"""Units of time counted from an instant or a day: "two weeks ago", "the past year", "the day after"."""

from __future__ import annotations

import calendar as gregorian
from datetime import date, timedelta
from itertools import pairwise
from typing import Final, NamedTuple

from memory_grpc.ranking.dates.meaning import Part, add_days, unit_of
from memory_grpc.ranking.dates.parts import DAYS, MONTHS
from memory_grpc.ranking.dates.spans import Calendar, Span, add_months, week_of, weekday_before

_DAYS: Final = {"day": 1, "week": 7, "fortnight": 14, "month": 30, "quarter": 91, "year": 365, "decade": 3652}
_CLOCK: Final = {"second": timedelta(seconds=1), "minute": timedelta(minutes=1), "hour": timedelta(hours=1)}

_MOST_LISTED: Final = 100


class Count(NamedTuple):
    """How many: between `least` and `most`; "a few" is two to five."""

    least: float
    most: float


def rolling(unit: str, count: float) -> timedelta:
    """How long so many units are: a month is 30 days, a year 365."""
    if unit in _CLOCK:
        return count * _CLOCK[unit]
    if unit not in _DAYS:
        raise ValueError(f"no length of a {unit}")
    return timedelta(days=count * _DAYS[unit])


def away(count: Count, unit: str, calendar: Calendar) -> Span:
    """The unit that lies so many units before as_of; after it where the count is below zero.

    As exact as people are: "two weeks ago" is a week around that day, "two months ago" that month.
    """
    ends = [_away(number, unit, calendar) for number in {count.least, count.most}]
    return Span(min(span.start for span in ends), max(span.end for span in ends))


def _away(count: float, unit: str, calendar: Calendar) -> Span:
    today = calendar.today
    if unit in _CLOCK:
        width = max(_CLOCK[unit], abs(count) * _CLOCK[unit] / 2)
        middle = calendar.as_of - count * _CLOCK[unit]
        return Span(middle - width / 2, middle + width / 2)
    if unit == "weekend":
        return unit_of(today, unit, calendar, int(count))
    if unit in ("year", "decade"):
        years = count * (10 if unit == "decade" else 1)
        if years == int(years):
            return unit_of(today, "year", calendar, int(years))
        first = add_months(today, -round(years * 12))
        return calendar.month(first.year, first.month)
    if unit in ("month", "quarter"):
        months = count * (3 if unit == "quarter" else 1)
        if months == int(months):
            first = add_months(today, -int(months))
            return calendar.month(first.year, first.month)
        return calendar.days(today - timedelta(days=round(months * 30.4) + 3), 7)
    if unit == "day":
        return calendar.days(today - timedelta(days=int(count)))
    return calendar.days(today - timedelta(days=round(count * _DAYS[unit]) + 3), 7)


def back(day: date, unit: str, count: float | None) -> date:
    """The day so many units before a day; of a shorter month the last."""
    if count is None or count % 1:
        raise ValueError("no one day")
    if unit in DAYS:
        return day - timedelta(days=DAYS[unit] * count)
    if unit not in MONTHS:
        raise ValueError(f"no days in a {unit}")
    index = day.year * 12 + day.month - 1 - MONTHS[unit] * int(count)
    year, month = index // 12, index % 12 + 1
    return date(year, month, min(day.day, gregorian.monthrange(year, month)[1]))


def signed(number: float, is_later: bool) -> Count:
    """So many units before, or after."""
    return Count(-number, -number) if is_later else Count(number, number)


def parts(count: Count, unit: str) -> tuple[Part, ...]:
    """A count of units as a part of a longer one."""
    return ((abs(count.most), unit),)


def are_falling(counted: tuple[Part, ...]) -> bool:
    """Whether counts of units may be one: two or more, the longest unit first ("2 weeks and 3 days")."""
    lengths = [rolling(unit, 1) for _, unit in counted if unit != "weekend"]
    return len(lengths) > 1 and all(one > other for one, other in pairwise(lengths))


def earlier(calendar: Calendar, counted: tuple[Part, ...], is_later: bool) -> Calendar:
    """The calendar so many units before; after it where they are later."""
    if not counted:
        return calendar
    as_of, sign = calendar.as_of, -1 if is_later else 1
    for number, unit in counted:
        if unit in _CLOCK:
            as_of -= sign * number * _CLOCK[unit]
        else:
            today = calendar.day_of(as_of)
            as_of -= today - back(today, unit, sign * number)
    return Calendar.at(as_of, calendar.zone)


def last_weekdays(count: int, weekday: int, calendar: Calendar, which: int) -> list[Span]:
    """The last so many of a weekday before today; the next ones where `which` is above zero."""
    today = calendar.today
    _check(count)
    if which > 0:
        first = weekday_before(today + timedelta(days=8), weekday)
        return [calendar.days(first + timedelta(days=7 * place)) for place in range(count)]
    last = weekday_before(today, weekday)
    return [calendar.days(last - timedelta(days=7 * place)) for place in range(count)]


def last_weekends(count: int, calendar: Calendar, which: int) -> list[Span]:
    """The weekends of the last so many weeks, or of the next."""
    _check(count)
    saturday = week_of(calendar.today) + timedelta(days=5)
    places = range(1, count + 1)
    return [calendar.days(saturday + timedelta(days=7 * place * which), 2) for place in places]


def this_weekend(calendar: Calendar) -> Span:
    """The last weekend that has begun."""
    return calendar.days(weekday_before(calendar.today + timedelta(days=1), 5), 2)


def _check(count: int) -> None:
    if not 0 < count <= _MOST_LISTED:
        raise ValueError("too many to list")


def beside(anchor: Span, unit: str, is_after: bool, calendar: Calendar, count: int = 1) -> Span:
    """The unit next to a span, or so many: "the week before 6 July" is the seven days before it."""
    if unit == "weekend":
        friday = calendar.clock(add_days(anchor.start, calendar, -1))  # before a Sunday none ends on it
        saturday = _weekday_beside(anchor if is_after else Span(friday, friday), 5, is_after, calendar)
        return calendar.days(saturday, 2)
    if unit in _CLOCK:
        time = count * _CLOCK[unit]
        return Span(anchor.end, anchor.end + time) if is_after else Span(anchor.start - time, anchor.start)
    first, end = calendar.day_of(anchor.start), calendar.day_of(anchor.end)
    if unit in ("month", "quarter", "year") and anchor == unit_of(first, unit, calendar):
        nearest, farthest = (unit_of(first, unit, calendar, -far if is_after else far) for far in (1, count))
        return Span(nearest.start, farthest.end) if is_after else Span(farthest.start, nearest.end)
    if unit not in _DAYS:
        raise ValueError(f"no length of a {unit}")
    length = count * _DAYS[unit]
    return calendar.days(end if is_after else first - timedelta(days=length), length)


def weekday_beside(anchor: Span, weekday: int, is_after: bool, calendar: Calendar) -> Span:
    """The weekday next to a span."""
    return calendar.days(_weekday_beside(anchor, weekday, is_after, calendar))


def _weekday_beside(anchor: Span, weekday: int, is_after: bool, calendar: Calendar) -> date:
    if is_after:
        return weekday_before(calendar.day_of(anchor.end) + timedelta(days=7), weekday)
    return weekday_before(calendar.day_of(anchor.start), weekday)

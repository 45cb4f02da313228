"""Spans of the calendar as half-open UTC ranges."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple


class DateRange(NamedTuple):
    """From `start` up to, not including, `end`; both in UTC."""

    start: datetime
    end: datetime


def midnight(day: date) -> datetime:
    """The first instant of a day, UTC."""
    return datetime.combine(day, time(), UTC)


def days(first: date, count: int) -> DateRange:
    """`count` whole days from `first`."""
    return DateRange(midnight(first), midnight(first + timedelta(days=count)))


def add_months(day: date, months: int) -> date:
    """The first day of the month that lies `months` after the month of `day`."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def month(year: int, number: int, count: int = 1) -> DateRange:
    """`count` whole months from month `number` of `year`."""
    first = date(year, number, 1)
    return DateRange(midnight(first), midnight(add_months(first, count)))


def year(number: int) -> DateRange:
    """A whole year."""
    return month(number, 1, 12)


def week_of(day: date) -> date:
    """The Monday of the week that holds `day` (ISO 8601)."""
    return day - timedelta(days=day.weekday())


def weekday_before(day: date, weekday: int) -> date:
    """The last day before `day` that falls on `weekday` (Monday is 0)."""
    return day - timedelta(days=(day.weekday() - weekday - 1) % 7 + 1)


def centred(instant: datetime, width: timedelta) -> DateRange:
    """The range of `width` around an instant."""
    return DateRange(instant - width / 2, instant + width / 2)


def merge(ranges: list[DateRange]) -> tuple[DateRange, ...]:
    """The same instants as `ranges`, in order, without overlaps or empty ranges."""
    merged: list[DateRange] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if merged and start <= merged[-1].end:
            merged[-1] = DateRange(merged[-1].start, max(end, merged[-1].end))
        else:
            merged.append(DateRange(start, end))
    return tuple(merged)

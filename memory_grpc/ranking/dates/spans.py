"""Spans of a calendar as half-open ranges of instants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class NoSuchDay(ValueError):
    """31 June: what is written so is no other date either."""


class DateRange(NamedTuple):
    """From `start` up to, not including, `end`, in UTC. None leaves a side open."""

    start: datetime | None
    end: datetime | None


class Span(NamedTuple):
    """A range with both its ends."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Calendar:
    """The days of one time zone, seen from an instant.

    Where a date leaves out its year or month, the last one is meant that has begun by the day `by`.
    """

    as_of: datetime
    zone: tzinfo
    by: date

    @classmethod
    def at(cls, as_of: datetime, zone: tzinfo) -> Calendar:
        """The calendar as it hangs on the wall at `as_of`."""
        return cls(as_of.astimezone(UTC), zone, as_of.astimezone(zone).date())

    @property
    def today(self) -> date:
        """The day of as_of."""
        return self.day_of(self.as_of)

    def day_of(self, instant: datetime) -> date:
        """The day on which an instant falls."""
        return instant.astimezone(self.zone).date()

    def clock(self, day: date, hour: int = 0) -> datetime:
        """An hour of a day; its first instant by default, 24 is the end of the day."""
        day += timedelta(days=hour // 24)
        return datetime.combine(day, time(hour % 24), self.zone).astimezone(UTC)

    def days(self, first: date, count: int = 1) -> Span:
        """`count` whole days from `first`."""
        return Span(self.clock(first), self.clock(first + timedelta(days=count)))

    def month(self, year: int, number: int, count: int = 1) -> Span:
        """`count` whole months from month `number` of `year`."""
        first = date(year, number, 1)
        return Span(self.clock(first), self.clock(add_months(first, count)))

    def latest(self, month: int, day: int = 1) -> date:
        """The last such day of a year by `by`; 29 February may lie up to eight years back."""
        for back in range(9):
            try:
                found = date(self.by.year - back, month, day)
            except ValueError:
                continue
            if found <= self.by:
                return found
        raise NoSuchDay(f"no day {day} in month {month}")


def add_months(day: date, months: int) -> date:
    """The first day of the month that lies `months` after the month of `day`."""
    index = day.year * 12 + day.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def week_of(day: date) -> date:
    """The Monday of the week that holds `day` (ISO 8601)."""
    return day - timedelta(days=day.weekday())


def weekday_before(day: date, weekday: int) -> date:
    """The last day before `day` that falls on `weekday` (Monday is 0)."""
    return day - timedelta(days=(day.weekday() - weekday - 1) % 7 + 1)


def merge(ranges: Iterable[DateRange | Span]) -> tuple[DateRange, ...]:
    """The same instants as `ranges`, in order, without overlaps or empty ranges."""
    merged: list[tuple[datetime, datetime]] = []
    for start, end in sorted((start or _FIRST, end or _LAST) for start, end in ranges):
        if start >= end:
            continue
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(DateRange(None if s == _FIRST else s, None if e == _LAST else e) for s, e in merged)

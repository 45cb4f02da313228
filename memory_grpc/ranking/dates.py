"""Dates in a query: which times of writing it asks about.

    >>> from datetime import UTC, datetime
    >>> [found.ranges for found in find_dates("What did I cook last June?", datetime(2024, 2, 1, tzinfo=UTC))]
    [(DateRange(start=datetime.datetime(2023, 6, 1, 0, 0, tzinfo=datetime.timezone.utc), \
end=datetime.datetime(2023, 7, 1, 0, 0, tzinfo=datetime.timezone.utc)),)]
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from memory_grpc.ranking import periods
from memory_grpc.ranking.date_rules import RULES
from memory_grpc.ranking.periods import DateRange

__all__ = ["DateMention", "DateRange", "find_dates", "matching_ranges"]


class DateMention(NamedTuple):
    """A date in a text: where it stands and which times it means."""

    start: int
    end: int
    ranges: tuple[DateRange, ...]


def find_dates(text: str, as_of: datetime) -> list[DateMention]:
    """The dates in `text`, in order, without overlaps: the longest reading that starts first wins.

    Args:
        text: any text; what is no date is skipped, a date that does not exist (31 June) too.
        as_of: the instant that relative dates count from; must carry a time zone.
    """
    as_of = as_of.astimezone(UTC)
    candidates = []
    for order, (pattern, meaning) in enumerate(RULES):
        for match in pattern.finditer(text):
            candidates.append((match.start(), -match.end(), order, match, meaning))
    found: list[DateMention] = []
    for start, negative_end, _, match, meaning in sorted(candidates, key=lambda candidate: candidate[:3]):
        if found and start < found[-1].end:
            continue
        try:
            ranges = periods.merge(meaning(match, as_of))
        except (ValueError, OverflowError):  # 31 June, or ten thousand years ago
            continue
        if ranges:
            found.append(DateMention(start, -negative_end, ranges))
    return found


def matching_ranges(mentions: list[DateMention], slack: timedelta) -> tuple[DateRange, ...]:
    """The times of all mentions together, each prolonged by `slack`, since what happened is told afterwards."""
    return periods.merge([DateRange(start, end + slack) for mention in mentions for start, end in mention.ranges])

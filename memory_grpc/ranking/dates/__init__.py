"""Dates in a query: which times of writing it asks about.

    >>> from datetime import UTC, datetime
    >>> [found.ranges for found in find_dates("What did I cook last June?", datetime(2024, 2, 1, tzinfo=UTC))]
    [(DateRange(start=datetime.datetime(2023, 6, 1, 0, 0, tzinfo=datetime.timezone.utc), \
end=datetime.datetime(2023, 7, 1, 0, 0, tzinfo=datetime.timezone.utc)),)]

Pure: the same text, instant and zone give the same ranges. What is read, and what is not, is in docs/ranking.md.
"""

from memory_grpc.ranking.dates.find import DateMention, find_dates, matching_ranges
from memory_grpc.ranking.dates.spans import DateRange

__all__ = ["DateMention", "DateRange", "find_dates", "matching_ranges"]

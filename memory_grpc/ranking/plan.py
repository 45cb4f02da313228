"""What the SQL of the hybrid ranking needs to know about a query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from memory_grpc.ranking.cues import asks_when
from memory_grpc.ranking.dates import DateRange, find_dates, matching_ranges
from memory_grpc.ranking.names import Participants, find_mentions, is_person, rewrite, speakers_named
from memory_grpc.ranking.weights import HybridWeights

# What happened on a day is told on that day or the day after.
DATE_SLACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QueryPlan:
    """A query, read."""

    embedding_text: str
    """What to embed: the query with participants' names as "I"."""
    lexical_text: str
    """What to search the words of: the query as it was asked, names included."""
    speaker_names: tuple[str, ...]
    speaker_roles: tuple[str, ...]
    """Roles that are named and stand in for the name of messages without one."""
    date_ranges: tuple[DateRange, ...]
    """When a message must have been created to match a date in the query; sorted, without overlaps."""
    dates: tuple[DateRange, ...] = ()
    """The dates in the query as they were read, for graded matches."""
    asks_when: bool = False


def plan_query(
    query: str, participants: Participants, as_of: datetime, weights: HybridWeights, zone: tzinfo = UTC
) -> QueryPlan:
    """Reads a query for the hybrid ranking (docs/ranking.md). Pure and deterministic.

    Args:
        query: what was asked.
        participants: who speaks in the tenant.
        as_of: the instant that relative dates count from; must carry a time zone.
        weights: parts that are switched off there are not looked for.
        zone: whose days the dates of the query are.
    """
    dates = [
        date for date in find_dates(query, as_of, zone) if not is_person(query, (date.start, date.end), participants)
    ]
    mentions = find_mentions(query, participants, [(date.start, date.end) for date in dates])
    names, roles = speakers_named(mentions) if weights.speaker else ((), ())
    return QueryPlan(
        embedding_text=rewrite(query, mentions) if weights.names_to_i else query,
        lexical_text=query,
        speaker_names=names,
        speaker_roles=roles,
        date_ranges=matching_ranges(dates, DATE_SLACK) if weights.date else (),
        dates=tuple(range_ for date in dates for range_ in (*date.ranges, *date.told)) if weights.date else (),
        asks_when=asks_when(query),
    )

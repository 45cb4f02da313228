"""A search, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.filtering import Node


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """Which messages a search ranks: those that pass ``where`` (None: all), live ones unless it says otherwise."""

    where: Node | None = None
    include_archived: bool = False
    candidate_limit: int | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a score: weight · value."""

    name: str
    weight: float
    value: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """A message that was ranked; the terms add up to the score. ``relevance`` is its similarity, or what the hybrid
    ranking makes of that, before it is weighed against that of others."""

    message_id: UUID
    score: float
    relevance: float
    similarity: float
    importance: float
    decay: float
    terms: tuple[Term, ...]
    answer: float
    """How likely it is to answer, whatever else was found: the similarity, and in the hybrid ranking the words."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was found, why, and the turns before and after it where they were asked for."""

    ranked: Ranked
    message: StoredMessage
    neighbours: tuple[list[StoredMessage], list[StoredMessage]] | None = None


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to look for: ``ranking`` None leaves it to the policy; ``neighbours`` counts turns to each side; ``explain``
    asks how it was ranked."""

    tenant_id: str
    query: str
    filters: SearchFilters = field(default_factory=SearchFilters)
    top_k: int = 5
    ranking: str | None = None
    neighbours: int = 0
    explain: bool = False
    zone: tzinfo | None = None
    """Whose days the dates of the query are; None leaves it to the policy."""
    language: str | None = None
    """Of the query; None leaves it to the tenant."""
    longest: int | None = None
    """How many bytes of text a hit may have to be fetched; None for any number."""
    min_score: float | None = None
    min_relevance: float | None = None
    """Without the hits that are less likely to answer; no others stand in their places."""
    distinct: bool = False
    """Of equal texts only the best one."""
    exclude_message_ids: frozenset[UUID] = frozenset()
    exclude_query_text: bool = False
    """Without messages whose text is the query."""


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first, and how they were ranked; ``candidates`` were ranked, if that was asked for. ``pending``
    messages pass the filters and are not embedded, counted to 10,000. ``too_long`` were found and not fetched."""

    hits: tuple[Hit, ...]
    ranking: str
    exact: bool
    candidates: int
    weights: Mapping[str, float]
    model: str
    as_of: datetime
    pending: int
    too_long: tuple[UUID, ...] = ()
    relevance: float | None = None
    """How likely the likeliest of what was found is to answer, those below ``min_relevance`` included."""
    reranked: bool | None = None
    """Whether a reranker read the best again; None where it was not asked."""

    @property
    def messages(self) -> Iterator[StoredMessage]:
        """All that is told of: what was found, and the turns around it."""
        for hit in self.hits:
            yield hit.message
            yield from (turn for side in hit.neighbours or () for turn in side)

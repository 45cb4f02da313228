"""What a ranking is asked, and what it gives."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from typing import Any

from pgvector import HalfVector
from psycopg.types.multirange import TimestamptzMultirange
from psycopg.types.range import Range

from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.domain.search import Ranked
from memory_grpc.offload import by_size
from memory_grpc.ranking import HybridWeights, QueryPlan
from memory_grpc.ranking.corpus import Corpus
from memory_grpc.ranking.fusion import Fused, Memory, fuse
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.filters import Filter

# More messages than a tenant has.
ALL = 2**31 - 2

# The newest are looked at besides what a graph gives, as far as decay adds this much to the score.
_DECAY_COUNTS = 0.02
_DECAY_SECONDS = 604_800
# Other work on a byte takes as long as ranking so many turns by a word, 30 ns each; a window takes as long as some.
_QUICKER, _OF_WINDOW = 4, 3


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query, quoted as a tsquery. ``frequency`` is how many of the tenant's messages hold it, None where
    that is to be counted."""

    quoted: str
    frequency: int | None


@dataclass(frozen=True, slots=True)
class QueryWords:
    """The words of a query, the rarest first; ``messages`` and their ``average`` length are None where the tenant has
    no word index."""

    words: tuple[Word, ...]
    messages: int | None
    average: float | None

    @property
    def any_word(self) -> str | None:
        """A tsquery that finds what holds any of them."""
        return " | ".join(word.quoted for word in self.words) or None


@dataclass(frozen=True, slots=True)
class HybridQuery:
    """What the hybrid ranking needs besides: the query as it was read, its words by a text-search configuration."""

    plan: QueryPlan
    words: QueryWords
    parts: HybridWeights
    config: str
    as_of: datetime


@dataclass(frozen=True)
class RankRequest:
    """Rank a tenant's messages against ``vector``, a float32 array [dimensions], by one model's vectors.

    ``has_graph`` says that the tenant is large, and has a graph of this model; ``has_newest`` that an index ends with
    its newest; ``is_counted`` asks for ``candidates``.
    ``enough`` hits of a graph's pool will do where a filter leaves no more of them; None for ``top_k``.
    """

    tenant_id: str
    model_id: int
    vector: Vectors
    filter: Filter
    weights: ScoreWeights
    top_k: int
    has_graph: bool = False
    has_newest: bool = True
    is_counted: bool = False
    hybrid: HybridQuery | None = None
    enough: int | None = None

    @cached_property
    def params(self) -> dict[str, Any]:
        """The parameters that every ranking statement takes."""
        params: dict[str, Any] = {
            **self.filter.params,
            "tenant_id": self.tenant_id,
            "model_id": self.model_id,
            "query": HalfVector(self.vector),
            "top_k": self.top_k,
            "similarity_weight": self.weights.similarity,
            "importance_weight": self.weights.importance,
            "decay_weight": self.weights.decay,
        }
        return params | self._of_hybrid(self.hybrid) if self.hybrid else params

    def without_indexes(self) -> RankRequest:
        """The same, of what the indexes of a tenant's own and of metadata do not know: what messages were."""
        hybrid = self.hybrid
        if hybrid is not None:
            words = tuple(Word(word.quoted, None) for word in hybrid.words.words)
            hybrid = replace(hybrid, words=QueryWords(words, None, None))
        filter_ = replace(self.filter, metadata=None)
        return replace(self, filter=filter_, has_graph=False, has_newest=False, hybrid=hybrid)

    def _of_hybrid(self, hybrid: HybridQuery) -> dict[str, Any]:
        return {
            "config": hybrid.config,
            "any_word": hybrid.words.any_word,
            **{f"word_{place}": word.quoted for place, word in enumerate(hybrid.words.words)},
            "speaker_names": list(hybrid.plan.speaker_names),
            "speaker_roles": [role[0] for role in hybrid.plan.speaker_roles],
            "date_ranges": TimestamptzMultirange([Range(start, end) for start, end in hybrid.plan.date_ranges]),
            "lift_weight": hybrid.parts.lift,
            "date_weight": hybrid.parts.date,
        }


@dataclass(frozen=True, slots=True)
class Ranking:
    """The best messages, best first; ``candidates`` were ranked, 0 where nobody asked; ``exact`` unless only a pool
    was. ``fused`` is what a hybrid ranking made the hits of."""

    hits: tuple[Ranked, ...]
    candidates: int
    exact: bool
    fused: tuple[Fused, ...] = ()


async def fused(
    memory: Memory, request: RankRequest, hybrid: HybridQuery, corpus: Corpus | None = None
) -> tuple[list[Fused], int]:
    """The best of a memory by a request's weights, and how many were ranked."""
    weights = request.weights
    work = partial(
        fuse,
        memory,
        hybrid.parts,
        similarity=weights.similarity,
        importance=weights.importance,
        decay=weights.decay,
        top_k=request.top_k,
        corpus=corpus,
    )
    turns, words = memory.counts.shape
    return await by_size((turns * (1 + words) + _OF_WINDOW * len(memory.turn)) // _QUICKER, work)


def newest_seconds(weights: ScoreWeights) -> float:
    """How old a message is of which decay still adds to the score what counts."""
    return _DECAY_SECONDS * max(0.0, math.log(max(weights.decay, 1e-9) / _DECAY_COUNTS))

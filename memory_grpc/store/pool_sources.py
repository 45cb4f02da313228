"""Where the pool of a large tenant comes from: one statement for each source that a query needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pgvector import HalfVector

from memory_grpc.domain import ScoreWeights
from memory_grpc.ranking import HybridWeights, QueryPlan
from memory_grpc.store.database import Row, Statement
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.graphs import EXTRA_DIMENSIONS
from memory_grpc.store.search import newest_seconds


@dataclass(frozen=True, slots=True)
class PoolSize:
    """How far each source of the pool is read. More of everything finds more and takes longer."""

    graph: int = 490
    """Windows from the graph, by similarity and importance."""
    words: int = 1500
    """Messages that are looked up by their words, by the frequencies of the last count."""
    important: int = 20
    """The most important messages."""
    newest: int = 15_000
    """Windows that are looked through for those that are good as well."""
    dated: int = 20_000
    """Windows in the dates that a query names; where there are more, they are looked for in the graph."""
    spoken: int = 2000
    """Messages of the speakers that a query names; where there are more, they are looked for in the graph."""
    kept: int = 100
    """What is kept of each source but the graph, by the score as far as it is known."""
    pool: int = 160
    """What is kept of all of them together, by the same with words and speakers."""
    lifted: int = 20
    """How many of the best are ranked with the turns around them, which lift them."""
    mates: int = 24
    """How many turns to each side."""
    followed: int = 20
    """How many of the best by words are ranked with the two turns after: those inherit a share of the words."""
    tuples: int = 8000
    """Points of the graph that are looked at for want of any that pass the filters."""


# Points of a graph that pgvector looks for at once; more are looked for afterwards.
_WIDEST = 1000
# How similar the best message may be expected to be, before it is known.
_SIMILAR = 0.6
# Where a smaller share of the first so many that the graph gives is of the dates or the speakers that a query names,
# those have a source of their own.
_ENOUGH, _SAMPLE = 0.15, 100


@dataclass(frozen=True, slots=True)
class Sources:
    """The statements about one query; ``params`` are those of the hybrid statements."""

    params: Mapping[str, Any]
    query: Vectors
    plan: QueryPlan
    weights: ScoreWeights
    parts: HybridWeights
    size: PoolSize
    top_k: int

    def limits(self) -> dict[str, Any]:
        """The parameters that say how far the sources are read."""
        size, top_k = self.size, self.top_k
        return {
            "speakers": bool(self.plan.speaker_names or self.plan.speaker_roles),
            "sample": _SAMPLE,
            "graph_limit": size.graph + top_k,
            "graph_width": min(size.graph + top_k, _WIDEST),
            "most_tuples": size.tuples,
            "important_limit": size.important + top_k,
            "newest_limit": size.newest + top_k,
            "newest_seconds": newest_seconds(self.weights),
            "dated_limit": size.dated,
            "spoken_limit": size.spoken,
            "kept": size.kept + top_k,
            "pool_limit": size.pool + top_k,
            "lifted": size.lifted + top_k,
            "mates": size.mates,
            "followed": size.followed,
        }

    def per_relevance(self, similar: float) -> float:
        """What a point of relevance comes to in the score if the most similar message, which is ``similar``, is about
        the best: relevance is divided by the best."""
        best = (1 + self.parts.conversation) * similar + self.parts.date * bool(self.plan.date_ranges)
        best += self.parts.speaker * bool(self.plan.speaker_names or self.plan.speaker_roles)
        return self.weights.similarity / max(0.1, best)

    def first(self) -> Iterator[Statement]:
        """What can be asked before anything is known: the query's words, what the graph gives, and how much the dates
        and the speakers cover that are named."""
        params = {**self.params, **self.limits()}
        yield "hybrid_pool.words", params, None
        yield self._graph(params)
        if self.plan.date_ranges or self.plan.speaker_names:
            yield "hybrid_pool.extents", params, None

    def others(self, params: Mapping[str, Any], near: Sequence[Row], extents: Row | None) -> Iterator[Statement]:
        """All other sources, that of words first: every term of the score has one. ``params`` are all that are known
        by then, and ``near`` is what the graph gave."""
        yield "hybrid_pool.matched", params, None
        yield "hybrid_pool.important", params, None
        yield "hybrid_pool.newest", params, None
        if extents is not None and extents["dated"]:
            if extents["dated"] <= self.size.dated:
                yield "hybrid_pool.dated", params, None
            elif _share(near, "dated") < _ENOUGH:
                yield self._graph(params, only_dated=True)
        if params["speakers"] and _share(near, "speaks") < _ENOUGH:
            is_few = extents is not None and extents["spoken"] <= self.size.spoken
            if self.plan.speaker_names and is_few:
                yield "hybrid_pool.spoken", params, None
            if self.plan.speaker_roles or not is_few:
                yield self._graph(params, only_spoken=True)

    def _graph(self, params: Mapping[str, Any], *, only_dated: bool = False, only_spoken: bool = False) -> Statement:
        """The statement that searches the graph for the best by similarity and importance."""
        unit = self.query / max(float(np.linalg.norm(self.query)), 1e-12)
        worth = max(1e-3, self.per_relevance(_SIMILAR) * (1 + self.parts.conversation))
        direction = HalfVector(np.append(worth * unit, [self.weights.importance, 0.0]))
        given = {"direction": direction, "only_dated": only_dated, "only_spoken": only_spoken}
        return "hybrid_pool.graph", {**params, **given}, len(self.query) + EXTRA_DIMENSIONS


def _share(near: Sequence[Row], what: str) -> float:
    first = near[:_SAMPLE]
    return sum(bool(row[what]) for row in first) / len(first)

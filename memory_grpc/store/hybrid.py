"""The hybrid ranking: one formula (ranking/fusion.py) over what is read of a tenant, all of it or a pool."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.domain.search import Ranked, Term
from memory_grpc.ranking.fusion import Fused
from memory_grpc.store import hybrid_columns
from memory_grpc.store.database import Transaction
from memory_grpc.store.hybrid_pool import Pool, Pooled
from memory_grpc.store.hybrid_pool_size import DEFAULT, PoolSize
from memory_grpc.store.rank_request import HybridQuery, Ranking, RankRequest, fused


class Hybrid:
    """One query's ranking by the hybrid score, in each of the ways that there are."""

    def __init__(self, tx: Transaction, request: RankRequest, hybrid: HybridQuery, size: PoolSize = DEFAULT) -> None:
        self._tx = tx
        self._request = request
        self._hybrid = hybrid
        self._pool = Pool(tx, request, hybrid, size)

    async def of_few(self, most: int) -> Ranking | None:
        """Of the messages that pass, the most promising; None when they are more than ``most``, and without word
        counts."""
        return self._of_pool(await self._pool.of_few(most)) if self._hybrid.words.messages else None

    async def of_span(self) -> Ranking | None:
        """Of the times that pass, the most promising; None without word counts."""
        return self._of_pool(await self._pool.of_span()) if self._hybrid.words.messages else None

    async def of_graph(self) -> Ranking | None:
        """Of a pool from every source; None when too few of it pass, and without word counts."""
        found = await self._pool.of_graph() if self._hybrid.words.messages else None
        enough = self._request.enough or self._request.top_k
        return self._of_pool(found) if found and len(found.best) >= enough else None

    async def whole(self) -> Ranking | None:
        """Of all messages."""
        memory = await hybrid_columns.whole(self._tx, self._request, self._hybrid)
        return self._ranking(*await fused(memory, self._request, self._hybrid), exact=True)

    def _of_pool(self, found: Pooled | None) -> Ranking | None:
        return None if found is None else self._ranking(found.best, found.ranked, exact=found.is_all)

    def _ranking(self, best: list[Fused], ranked: int, *, exact: bool) -> Ranking:
        return Ranking(explained(best, self._request.weights), ranked, exact, tuple(best))


def explained(found: Sequence[Fused], weights: ScoreWeights) -> tuple[Ranked, ...]:
    """What was found with the terms of its score.

    Those of relevance are divided by the best relevance of the search, as relevance is.
    """
    hits = []
    for hit in found:
        terms: list[Term] = []
        if hit.best_relevance > 0:
            share = weights.similarity / hit.best_relevance
            terms += [Term(part.name, share * part.weight, part.value) for part in hit.parts]
            if hit.raw_relevance < 0:
                terms.append(Term("floor", share, -hit.raw_relevance))
        terms += [Term("importance", weights.importance, hit.importance), Term("decay", weights.decay, hit.decay)]
        hits.append(
            Ranked(
                UUID(bytes=hit.message_id),
                hit.score,
                hit.raw_relevance,
                hit.similarity,
                hit.importance,
                hit.decay,
                tuple(terms),
                hit.answer,
            )
        )
    return tuple(hits)

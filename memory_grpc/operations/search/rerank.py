"""Reranking: the best hits of a hybrid search, read again by a model that sees query and message together."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

import structlog

from memory_grpc import at_work, deadline
from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.domain.search import SearchRequest
from memory_grpc.observability import metrics
from memory_grpc.ranking.rerank import POOL, reranked
from memory_grpc.reranking import Reranker, RerankFailed, RerankLate, RerankPaused
from memory_grpc.store import messages
from memory_grpc.store.database import Transaction
from memory_grpc.store.hybrid import explained
from memory_grpc.store.rank_request import Ranking

# What a reranker is given of a text, in characters: more than most of them read.
_LONGEST = 4000
# Of the time that a call has left, what reranking may take.
_MOST = 0.5

log = structlog.get_logger(__name__)


class Rerank:
    """One reranker, and how long it may take."""

    def __init__(self, reranker: Reranker, timeout_seconds: float) -> None:
        self._reranker = reranker
        self._timeout = timeout_seconds

    @staticmethod
    def pool(request: SearchRequest) -> SearchRequest:
        """The search that finds what is to be read: more of it, and whatever its score, which is not known yet."""
        return replace(request, top_k=max(request.top_k, POOL), min_score=None)

    @staticmethod
    async def passages(tx: Transaction, tenant_id: str, ranking: Ranking) -> dict[UUID, str]:
        """What is to be read of the best hits."""
        best = [hit.message_id for hit in ranking.hits[:POOL]]
        return await messages.passages(tx, tenant_id, best, _LONGEST)

    async def __call__(
        self, query: str, ranking: Ranking, passages: Mapping[UUID, str], weights: ScoreWeights, weight: float
    ) -> Ranking | None:
        """The ranking with the reranker's term; None when it fails or is late."""
        if not passages:
            return ranking
        async with at_work.paused():
            scores = await self._scores(query, list(passages.values()))
        if scores is None:
            return None
        values = {id_.bytes: score for id_, score in zip(passages, scores, strict=True)}
        kept = {hit.message_id.bytes for hit in ranking.hits}
        found = reranked(
            [hit for hit in ranking.fused if hit.message_id in kept],
            values,
            weight,
            similarity=weights.similarity,
            importance=weights.importance,
            decay=weights.decay,
        )
        return replace(ranking, hits=explained(found, weights), fused=tuple(found))

    async def _scores(self, query: str, texts: list[str]) -> list[float] | None:
        left = deadline.remaining()
        seconds = self._timeout if left is None else min(self._timeout, _MOST * left)
        started = time.monotonic()
        try:
            scores = await self._reranker.scores(query, texts, seconds)
        except RerankPaused:  # said by each failure that led to it: not once more by every search
            outcome, scores = "failed", None
        except RerankFailed as error:
            outcome = "late" if isinstance(error, RerankLate) else "failed"
            # Its words are ours: neither content nor what a service said.
            log.warning("not_reranked", outcome=outcome, reason=str(error) or "it took too long")
            scores = None
        except Exception as error:  # whatever a reranker does, a search has its answer without it
            outcome = "failed"
            log.warning("not_reranked", outcome=outcome, reason=type(error).__name__)
            scores = None
        else:
            outcome = "reranked"
        metrics.RERANKS.labels(outcome).inc()
        metrics.RERANK_SECONDS.observe(time.monotonic() - started)
        return scores

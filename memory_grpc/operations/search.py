"""Search: embeds the query and ranks a tenant's memory."""

from __future__ import annotations

from memory_grpc.domain import Hit, SearchFilters
from memory_grpc.embedding import Embedder
from memory_grpc.observability import metrics
from memory_grpc.operations.policy import Policies
from memory_grpc.store import search
from memory_grpc.store.database import Database


class Search:
    """The documented ranking."""

    def __init__(self, database: Database, embedder: Embedder, model_id: int, policies: Policies) -> None:
        self._database = database
        self._embedder = embedder
        self._model_id = model_id
        self._policies = policies

    async def __call__(self, tenant_id: str, query: str, filters: SearchFilters, top_k: int) -> list[Hit]:
        """The best ``top_k`` hits, best first; empty when nothing passes the filters.

        Raises EmbeddingUnavailable, QueueFull, StoreUnavailable, DeadlineExceeded.
        """
        policy = await self._policies.get(tenant_id)
        vector = await self._embedder.embed_query(query)
        async with self._database.transaction() as tx:
            hits = await search.semantic(tx, tenant_id, self._model_id, vector, filters, policy.score, top_k=top_k)
            candidates = await search.count(tx, tenant_id, self._model_id, filters)
        metrics.SEARCHES.inc()
        metrics.CANDIDATES.observe(candidates)
        return hits

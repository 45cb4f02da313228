"""Search: embeds the query, ranks a tenant's memory and fetches what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from memory_grpc.domain import Hit, Policy, Ranked, SearchRequest, SearchResult
from memory_grpc.embedding import Embedder
from memory_grpc.observability import metrics
from memory_grpc.operations.graphs import Graphs
from memory_grpc.operations.policy import Policies
from memory_grpc.ranking import Participants, plan_query
from memory_grpc.store import lexical, messages, search
from memory_grpc.store.database import Database, Transaction


class Search:
    """Ranks in SQL; what is ranked and fetched is read in one transaction, at one moment."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        model_id: int,
        policies: Policies,
        graphs: Graphs,
        *,
        text_config: str,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._model_id = model_id
        self._policies = policies
        self._graphs = graphs
        self._text_config = text_config

    async def __call__(self, request: SearchRequest) -> SearchResult:
        """The best ``top_k`` hits, best first; none when nothing passes the filters.

        Raises EmbeddingUnavailable, QueueFull, StoreUnavailable, DeadlineExceeded.
        """
        policy = await self._policies.get(request.tenant_id)
        ranking = request.ranking or policy.ranking
        rank = self._hybrid if ranking == "hybrid" else self._semantic
        result = await rank(request, policy)
        metrics.SEARCHES.labels(ranking, "yes" if result.exact else "no").inc()
        return result

    async def _semantic(self, request: SearchRequest, policy: Policy) -> SearchResult:
        vector = await self._embedder.embed_query(request.query)
        filters = request.filters
        async with self._database.transaction(tenant=request.tenant_id) as tx:
            arguments = (tx, request.tenant_id, self._model_id, vector, filters, policy.score, request.top_k)
            pooled = None
            if self._graphs.usable(request.tenant_id, self._model_id) and search.can_pool(
                filters, policy.score, request.top_k
            ):
                pooled = await search.pooled(*arguments)
            if pooled is not None:
                ranked, candidates = pooled
            else:
                ranked = await search.semantic(*arguments)
                # Counting is a second scan: done for those who ask.
                candidates = (
                    await search.count(tx, request.tenant_id, self._model_id, filters) if request.explain else 0
                )
            hits = await _hits(tx, request, ranked)
            as_of = filters.as_of or await _now(tx)
        return self._result("semantic", hits, candidates, asdict(policy.score), as_of, exact=pooled is None)

    async def _hybrid(self, request: SearchRequest, policy: Policy) -> SearchResult:
        """The query is read first: which participants and dates it names decides what is embedded and matched."""
        async with self._database.transaction(tenant=request.tenant_id) as tx:
            names, roles, now = await lexical.participants(tx, request.tenant_id)
        filters = request.filters
        plan = plan_query(request.query, Participants(names, roles), filters.as_of or now, policy.hybrid)
        vector = await self._embedder.embed_query(plan.embedding_text)
        async with self._database.transaction(tenant=request.tenant_id) as tx:
            ranked, candidates = await search.hybrid(
                tx,
                request.tenant_id,
                self._model_id,
                self._text_config,
                vector,
                plan,
                filters,
                policy.score,
                policy.hybrid,
                request.top_k,
            )
            hits = await _hits(tx, request, ranked)
            as_of = filters.as_of or await _now(tx)
        weights = asdict(policy.score) | {f"relevance.{name}": w for name, w in asdict(policy.hybrid).items()}
        return self._result("hybrid", hits, candidates, weights, as_of, exact=True)

    def _result(
        self,
        ranking: str,
        hits: tuple[Hit, ...],
        candidates: int,
        weights: Mapping[str, float],
        as_of: datetime,
        *,
        exact: bool,
    ) -> SearchResult:
        return SearchResult(
            hits=hits,
            ranking=ranking,
            exact=exact,
            candidates=candidates,
            weights=weights,
            model=self._embedder.identity.name,
            as_of=as_of,
        )


async def _hits(tx: Transaction, request: SearchRequest, ranked: list[Ranked]) -> tuple[Hit, ...]:
    """What was ranked, with its message; a message that was deleted in the meantime is left out."""
    found = await messages.get_many(tx, request.tenant_id, [r.message_id for r in ranked])
    hits = tuple(Hit(r, found[r.message_id]) for r in ranked if r.message_id in found)
    if not request.neighbours or not hits:
        return hits
    around = await messages.neighbours(
        tx, request.tenant_id, [hit.message for hit in hits], request.neighbours, request.filters.as_of
    )
    return tuple(Hit(hit.ranked, hit.message, around[hit.message.id]) for hit in hits)


async def _now(tx: Transaction) -> datetime:
    row = await tx.one("database.now")
    assert row is not None, "now() has a row"
    now: datetime = row["now"]
    return now

"""Search: embeds the query, ranks a tenant's memory and fetches what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from memory_grpc.domain import Hit, Policy, Ranked, SearchRequest, SearchResult
from memory_grpc.observability import metrics
from memory_grpc.operations.graphs import Graphs
from memory_grpc.operations.models import Model, ModelChanged, Models
from memory_grpc.operations.policy import Policies
from memory_grpc.ranking import Participants, plan_query
from memory_grpc.store import lexical, messages, search
from memory_grpc.store.database import Database, Transaction
from memory_grpc.store.hybrid_pool import hybrid_pooled


class Search:
    """Ranks in SQL; what is ranked and fetched is read in one transaction, at one moment."""

    def __init__(
        self, database: Database, models: Models, policies: Policies, graphs: Graphs, *, text_config: str
    ) -> None:
        self._database = database
        self._models = models
        self._policies = policies
        self._graphs = graphs
        self._text_config = text_config

    async def __call__(self, request: SearchRequest) -> SearchResult:
        """The best ``top_k`` hits, best first; none when nothing passes the filters.

        Raises EmbeddingUnavailable, QueueFull, StoreUnavailable, DeadlineExceeded.
        """
        while True:
            model = await self._models.of(request.tenant_id)
            try:
                result = await self._rank(request, model, in_use=True)
            except ModelChanged:
                continue
            metrics.SEARCHES.labels(result.ranking, "yes" if result.exact else "no").inc()
            return result

    async def with_model(self, request: SearchRequest, model: Model) -> SearchResult:
        """The same over the vectors of a model that need not be in use, to compare it with another."""
        return await self._rank(request, model, in_use=False)

    async def _rank(self, request: SearchRequest, model: Model, *, in_use: bool) -> SearchResult:
        """Raises ModelChanged where the model is said to be in use and was not at the end of the ranking."""
        policy = await self._policies.get(request.tenant_id)
        rank = self._hybrid if (request.ranking or policy.ranking) == "hybrid" else self._semantic
        return await rank(request, policy, model, in_use)

    async def _semantic(self, request: SearchRequest, policy: Policy, model: Model, in_use: bool) -> SearchResult:
        vector = await model.embedder.embed_query(request.query)
        filters = request.filters
        async with self._database.transaction(tenant=request.tenant_id) as tx:
            arguments = (tx, request.tenant_id, model.id, vector, filters, policy.score, request.top_k)
            pooled = None
            if self._graphs.usable(request.tenant_id, model.id) and search.can_pool(
                filters, policy.score, request.top_k
            ):
                pooled = await search.pooled(*arguments)
            if pooled is not None:
                ranked, candidates = pooled
            else:
                ranked = await search.semantic(*arguments)
                # Counting is a second scan: done for those who ask.
                candidates = await search.count(tx, request.tenant_id, model.id, filters) if request.explain else 0
            if in_use:
                await self._models.check_read(tx, request.tenant_id, model)
            hits = await _hits(tx, request, ranked)
            as_of = filters.as_of or await _now(tx)
        return self._result("semantic", model, hits, candidates, asdict(policy.score), as_of, exact=pooled is None)

    async def _hybrid(self, request: SearchRequest, policy: Policy, model: Model, in_use: bool) -> SearchResult:
        """The query is read first: which participants and dates it names decides what is embedded and matched."""
        async with self._database.transaction(tenant=request.tenant_id) as tx:
            names, roles, now = await lexical.participants(tx, request.tenant_id)
        filters = request.filters
        plan = plan_query(request.query, Participants(names, roles), filters.as_of or now, policy.hybrid)
        vector = await model.embedder.embed_query(plan.embedding_text)
        async with self._database.transaction(tenant=request.tenant_id) as tx:
            arguments = (
                tx,
                request.tenant_id,
                model.id,
                self._text_config,
                vector,
                plan,
                filters,
                policy.score,
                policy.hybrid,
                request.top_k,
            )
            pooled = None
            if self._graphs.usable(request.tenant_id, model.id):
                pooled = await hybrid_pooled(*arguments)
            ranked, candidates = await search.hybrid(*arguments) if pooled is None else pooled
            if in_use:
                await self._models.check_read(tx, request.tenant_id, model)
            hits = await _hits(tx, request, ranked)
            as_of = filters.as_of or await _now(tx)
        weights = asdict(policy.score) | {f"relevance.{name}": w for name, w in asdict(policy.hybrid).items()}
        return self._result("hybrid", model, hits, candidates, weights, as_of, exact=pooled is None)

    def _result(
        self,
        ranking: str,
        model: Model,
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
            model=model.embedder.identity.name,
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

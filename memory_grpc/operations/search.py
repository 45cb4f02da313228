"""Search: embeds the query, ranks a tenant's memory and fetches what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from uuid import UUID

from memory_grpc.domain import Hit, Policy, Ranked, SearchRequest, SearchResult, StoredMessage
from memory_grpc.errors import ModelChanged
from memory_grpc.observability import metrics
from memory_grpc.operations.graphs import Graphs
from memory_grpc.operations.models import Model, Models
from memory_grpc.operations.policy import Policies
from memory_grpc.ranking import Participants, plan_query
from memory_grpc.store import lexical, messages, models, search
from memory_grpc.store.database import Database, Later, Transaction
from memory_grpc.store.hybrid_pool import hybrid_pooled
from memory_grpc.store.messages import Neighbours
from memory_grpc.store.models import TenantModel


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
        async with self._database.transaction(tenant=request.tenant_id, pipelined=True) as tx:
            arguments = (tx, request.tenant_id, model.id, vector, filters, policy.score, request.top_k)
            pooled = None
            if self._graphs.usable(request.tenant_id, model.id) and search.can_pool(
                filters, policy.score, request.top_k
            ):
                pooled = await search.pooled(*arguments, is_counted=request.explain)
            if pooled is not None:
                ranked, candidates = pooled
            else:
                ranked = await search.semantic(*arguments)
                # Counting is a second scan: done for those who ask.
                candidates = await search.count(tx, request.tenant_id, model.id, filters) if request.explain else 0
            last = await _Last.ask(tx, request, ranked)
        if in_use:
            self._models.check_read(request.tenant_id, model, await last.model.get())
        return await self._result("semantic", model, last, candidates, asdict(policy.score), exact=pooled is None)

    async def _hybrid(self, request: SearchRequest, policy: Policy, model: Model, in_use: bool) -> SearchResult:
        """The query is read first: which participants and dates it names decides what is embedded and matched."""
        async with self._database.transaction(tenant=request.tenant_id, pipelined=True) as tx:
            participants = await lexical.participants(tx, request.tenant_id)
        names, roles, now = await participants.get()
        filters = request.filters
        plan = plan_query(request.query, Participants(names, roles), filters.as_of or now, policy.hybrid)
        vector = await model.embedder.embed_query(plan.embedding_text)
        async with self._database.transaction(tenant=request.tenant_id, pipelined=True) as tx:
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
            last = await _Last.ask(tx, request, ranked)
        if in_use:
            self._models.check_read(request.tenant_id, model, await last.model.get())
        weights = asdict(policy.score) | {f"relevance.{name}": w for name, w in asdict(policy.hybrid).items()}
        return await self._result("hybrid", model, last, candidates, weights, exact=pooled is None)

    async def _result(
        self, ranking: str, model: Model, last: _Last, candidates: int, weights: Mapping[str, float], *, exact: bool
    ) -> SearchResult:
        return SearchResult(
            hits=await last.hits(),
            ranking=ranking,
            exact=exact,
            candidates=candidates,
            weights=weights,
            model=model.embedder.identity.name,
            as_of=await last.as_of.get(),
        )


@dataclass(frozen=True, slots=True)
class _Last:
    """What a search asks for when it has ranked: all of it in one round trip, with the commit."""

    ranked: Sequence[Ranked]
    model: Later[TenantModel]
    as_of: Later[datetime]
    messages: Later[dict[UUID, StoredMessage]]
    neighbours: Later[dict[UUID, Neighbours]] | None

    @classmethod
    async def ask(cls, tx: Transaction, request: SearchRequest, ranked: Sequence[Ranked]) -> _Last:
        """Asks, and waits for nothing."""
        ids = [hit.message_id for hit in ranked]
        as_of = request.filters.as_of
        turns = request.neighbours
        return cls(
            ranked=ranked,
            model=await models.of_tenant_later(tx, request.tenant_id),
            as_of=await tx.later("database.now", None, lambda rows: as_of or rows[0]["now"]),
            messages=await messages.get_many(tx, request.tenant_id, ids),
            neighbours=await messages.neighbours(tx, request.tenant_id, ids, turns, as_of) if turns else None,
        )

    async def hits(self) -> tuple[Hit, ...]:
        """What was ranked, with its message; a message that was deleted in the meantime is left out."""
        found = await self.messages.get()
        hits = tuple(Hit(r, found[r.message_id]) for r in self.ranked if r.message_id in found)
        if self.neighbours is None:
            return hits
        around = await self.neighbours.get()
        return tuple(replace(hit, neighbours=around.get(hit.message.id, ([], []))) for hit in hits)

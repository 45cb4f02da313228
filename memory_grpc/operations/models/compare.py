"""Compare: how the first ten hits of some queries change from the model in use to the one that is coming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from memory_grpc import deadline, positions
from memory_grpc.domain.search import SearchFilters, SearchRequest
from memory_grpc.errors import InvalidInput, ModelNotHeld, NotFound, WrongState
from memory_grpc.operations.models.models import Model, Models
from memory_grpc.operations.search.search import Search
from memory_grpc.store import clock, messages, reembedding
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.reembedding import Reembedding

TOP = 10
# A call that runs out of time returns what it has compared so far; this much is kept for the way back.
_SPARE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Scored:
    """A hit, by its id."""

    message_id: UUID
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked: a message of the tenant's own, or the caller's text (``message_id`` None)."""

    tenant_id: str
    text: str
    message_id: UUID | None


@dataclass(frozen=True, slots=True)
class Change:
    """One query's first hits with both models, best first."""

    query: Query
    before: tuple[Scored, ...]
    after: tuple[Scored, ...]

    @property
    def overlap(self) -> float:
        """Share of the first hits that both have, 0..1; 1 when neither finds anything."""
        longest = max(len(self.before), len(self.after))
        common = {hit.message_id for hit in self.before} & {hit.message_id for hit in self.after}
        return len(common) / longest if longest else 1.0

    @property
    def first_changed(self) -> bool:
        """Whether another message comes first."""
        return [hit.message_id for hit in self.before[:1]] != [hit.message_id for hit in self.after[:1]]

    @property
    def rank_change(self) -> float | None:
        """Mean number of places that a hit of both moved; None when they have none in common."""
        after = {hit.message_id: rank for rank, hit in enumerate(self.after)}
        moved = [abs(rank - after[h.message_id]) for rank, h in enumerate(self.before) if h.message_id in after]
        return sum(moved) / len(moved) if moved else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """All queries that there was time for."""

    asked: int
    changes: tuple[Change, ...]

    @property
    def overlap(self) -> float:
        """Mean overlap, 0..1."""
        return _mean([change.overlap for change in self.changes])

    @property
    def first_changed(self) -> float:
        """Share of the queries with another first hit, 0..1."""
        return _mean([float(change.first_changed) for change in self.changes])

    @property
    def rank_change(self) -> float:
        """Mean number of places that a common hit moved, over the queries that have common hits."""
        return _mean([change.rank_change for change in self.changes if change.rank_change is not None])


class Compare:
    """Ranks by each tenant's own policy, both times as of the same moment."""

    def __init__(self, database: Database, models: Models, search: Search) -> None:
        self._database = database
        self._models = models
        self._search = search

    async def __call__(self, id_: int, sample: int, queries: Sequence[str]) -> Comparison:
        """Asks ``queries``, which need a re-embedding of one tenant, or else ``sample`` messages of users.

        A message that is its own query does not count as its hit. The sample is the same as long as the messages are.
        Raises NotFound; WrongState unless the re-embedding is ready, or its old vectors were kept; ModelNotHeld;
        InvalidInput.
        """
        positions.require(positions.UNKNOWN)  # a replica may lack new vectors, and would not say so
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            work = await reembedding.get(tx, id_)
            now = await clock.now(tx)
        if work is None:
            raise NotFound("There is no such re-embedding.")
        if work.state != "ready" and not (work.state == "done" and work.keep_old):
            raise WrongState("Comparing needs the vectors of both models: those of a re-embedding that is ready.")
        before, after = self._models.held(work.previous_model_id), self._models.held(work.model_id)
        if before is None or after is None:
            raise ModelNotHeld
        if queries and work.tenant_id is None:
            raise InvalidInput.of("queries", "are allowed only when one tenant is re-embedded")
        if queries:
            asked = [Query(work.tenant_id or "", text, None) for text in queries]
        else:
            asked = await self._sample(work, sample)
        changes: list[Change] = []
        for query in asked:
            left = deadline.remaining()
            if left is not None and left < _SPARE_SECONDS and changes:
                break
            hits = [await self._hits(query, model, now) for model in (before, after)]
            changes.append(Change(query, *hits))
        return Comparison(len(asked), tuple(changes))

    async def _sample(self, work: Reembedding, limit: int) -> list[Query]:
        """Spread evenly over the tenants; the first ones in order, where there are more tenants than queries."""
        if work.tenant_id is not None:
            tenants = [work.tenant_id]
        else:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                tenants = await messages.tenants(tx)
        found: list[Query] = []
        for place, tenant_id in enumerate(tenants):
            if len(found) >= limit:
                break
            share = -(-(limit - len(found)) // (len(tenants) - place))
            async with self._database.transaction(tenant=tenant_id) as tx:
                texts = await reembedding.sample(tx, tenant_id, share)
            found += [Query(tenant_id, text, id_) for id_, text in texts.items()]
        return found[:limit]

    async def _hits(self, query: Query, model: Model, as_of: datetime) -> tuple[Scored, ...]:
        request = SearchRequest(query.tenant_id, query.text, SearchFilters(as_of=as_of), top_k=TOP + 1)
        result = await self._search.with_model(request, model)
        hits = [Scored(hit.message.id, hit.ranked.score) for hit in result.hits if hit.message.id != query.message_id]
        return tuple(hits[:TOP])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0

"""Builds the graphs and word indexes of tenants that outgrew the scan, and drops those of tenants that shrank."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID

import structlog

from memory_grpc.errors import LeaseLost
from memory_grpc.observability import metrics
from memory_grpc.operations.graphs import Graphs
from memory_grpc.store import graphs, leases, models, reembed, word_index
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.graphs import Graph

LEASE = "graphs"
LEASE_SECONDS = 60.0
# A tenant that shrank keeps its graph until it has this share of the threshold: one that goes up and down about the
# threshold would be built and dropped all day.
KEEP_SHARE = 0.5
# A build that failed, for want of disk perhaps, is tried again after this.
RETRY_SECONDS = 600.0
# The words of a tenant are counted again after this: frequencies change slowly, and rare words are never counted ahead.
RECOUNT_HOURS = 24.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Job:
    tenant_id: str
    model_id: int
    dimensions: int
    build: bool
    is_last: bool = False
    """Whether the tenant is to have no graph any more."""


class BuildGraphs:
    """Does the next thing that is to do, if no other server builds."""

    def __init__(
        self,
        database: Database,
        known: Graphs,
        holder: UUID,
        *,
        threshold: int,
        memory_mb: int,
        text_config: str,
    ) -> None:
        self._database = database
        self._known = known
        self._holder = holder
        self._threshold = threshold
        self._memory_mb = memory_mb
        self._text_config = text_config
        self._retry_at: dict[tuple[str, int], float] = {}

    async def __call__(self) -> bool:
        """Builds or drops one graph; True when something was done, so that there may be more.

        Raises StoreUnavailable and LeaseLost; a build that was cut off is begun anew by the next call, of any server.
        """
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            if not await leases.acquire(tx, LEASE, self._holder, LEASE_SECONDS):
                return False
        work, renewal = asyncio.create_task(self._next()), asyncio.create_task(self._renew())
        try:
            await asyncio.wait({work, renewal}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await renewal  # raises: it ends no other way
            return await work
        finally:
            for task in (work, renewal):
                task.cancel()
            await asyncio.wait({work, renewal})
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                await leases.release(tx, LEASE, self._holder)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 4)
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                if not await leases.renew(tx, LEASE, self._holder, LEASE_SECONDS):
                    raise LeaseLost

    async def _next(self) -> bool:
        for job in await self._jobs():
            if await (self._build(job) if job.build else self._drop(job)):
                await self._known.refresh()
                return True
        return await self._index_words()

    async def _index_words(self) -> bool:
        """Builds the word index of one tenant that has a graph and needs it, or counts its words again."""
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            tenants = await word_index.due(tx, self._text_config, RECOUNT_HOURS)
        for tenant_id in tenants:
            name = word_index.index_name(tenant_id, self._text_config)
            async with self._database.maintenance() as connection:
                if not await graphs.claim(connection, name):
                    continue
                await word_index.build(self._database, tenant_id, self._text_config)
            log.info("words_indexed")
            return True
        return False

    async def _jobs(self) -> list[_Job]:
        """What is to do: drops first, they make room. A tenant's graph is of the model that its searches read, and of
        the one that they are about to read, so that it is there at the cut-over."""
        least = max(1, int(self._threshold * KEEP_SHARE))
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            found = await graphs.all_(tx)
            large = await graphs.sizes(tx, least=least, most=self._threshold)
            dimensions = {model.id: model.dimensions for model in await models.all_(tx)}
            coming = await reembed.current(tx)
            wanted = {tenant_id: [(await models.of_tenant(tx, tenant_id)).model_id] for tenant_id in large}
        if coming is not None and coming.state == "ready":
            for tenant_id, ids in wanted.items():
                if coming.tenant_id in (None, tenant_id) and coming.model_id not in ids:
                    ids.append(coming.model_id)
        drops = [
            _Job(graph.tenant_id, graph.model_id, graph.dimensions, build=False, is_last=graph.tenant_id not in wanted)
            for graph in found
            if graph.model_id not in wanted.get(graph.tenant_id, ()) or graph.state == "dropping"
        ]
        there = {(graph.tenant_id, graph.model_id): graph for graph in found}
        builds = [
            _Job(tenant_id, model_id, dimensions[model_id], build=True)
            for tenant_id, messages in sorted(large.items())
            for model_id in wanted[tenant_id]
            if messages >= self._threshold
            and dimensions[model_id] <= graphs.MOST_DIMENSIONS
            and self._is_missing(there.get((tenant_id, model_id)), tenant_id, model_id)
        ]
        return drops + builds

    def _is_missing(self, graph: Graph | None, tenant_id: str, model_id: int) -> bool:
        if time.monotonic() < self._retry_at.get((tenant_id, model_id), 0.0):
            return False
        return graph is None or not graph.usable

    async def _build(self, job: _Job) -> bool:
        """False when the index is in the hands of another connection."""
        name = graphs.index_name(job.tenant_id, job.model_id)
        async with self._database.maintenance() as connection:
            if not await graphs.claim(connection, name):
                return False
            started = time.monotonic()
            outcome = "failed"
            async with self._database.transaction(tenant=job.tenant_id) as tx:
                messages = await graphs.begin(tx, job.tenant_id, job.model_id)
            try:
                # One that is valid was finished by a server that did not live to say so.
                if not await graphs.valid(connection, name):
                    await graphs.drop(connection, name)
                    await graphs.create(
                        connection, job.tenant_id, job.model_id, job.dimensions, messages, self._memory_mb
                    )
                outcome = "ready"
            except Exception:
                self._retry_at[job.tenant_id, job.model_id] = time.monotonic() + RETRY_SECONDS
                raise
            finally:
                seconds = time.monotonic() - started
                metrics.GRAPH_BUILDS.labels(outcome).inc()
                metrics.GRAPH_BUILD_SECONDS.observe(seconds)
                log.info("graph_built", outcome=outcome, messages=messages, seconds=round(seconds, 1))
                async with self._database.transaction(tenant=job.tenant_id) as tx:
                    await graphs.set_state(tx, job.tenant_id, job.model_id, outcome)
        return True

    async def _drop(self, job: _Job) -> bool:
        """False when the index is in the hands of another connection."""
        name = graphs.index_name(job.tenant_id, job.model_id)
        async with self._database.maintenance() as connection:
            if not await graphs.claim(connection, name):
                return False
            async with self._database.transaction(tenant=job.tenant_id) as tx:
                await graphs.set_state(tx, job.tenant_id, job.model_id, "dropping")
            await graphs.drop(connection, name)
            if job.is_last:
                await word_index.drop(self._database, job.tenant_id, self._text_config)
            async with self._database.transaction(tenant=job.tenant_id) as tx:
                await graphs.forget(tx, job.tenant_id, job.model_id)
        log.info("graph_dropped")
        return True

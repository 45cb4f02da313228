"""Builds the graphs of tenants that outgrew the scan, and drops those of tenants that shrank or went."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from uuid import UUID

import structlog

from memory_grpc.errors import MemoryLayerError
from memory_grpc.observability import metrics
from memory_grpc.operations.graphs import Graphs
from memory_grpc.store import graphs, leases
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.graphs import Graph

LEASE = "graphs"
LEASE_SECONDS = 60.0
# A tenant that shrank keeps its graph until it has this share of the threshold: one that goes up and down about the
# threshold would be built and dropped all day.
KEEP_SHARE = 0.5
# A build that failed, for want of disk perhaps, is tried again after this.
RETRY_SECONDS = 600.0

log = structlog.get_logger(__name__)


class LeaseLost(MemoryLayerError):
    """Another server builds the graphs now."""


@dataclass(frozen=True, slots=True)
class _Job:
    tenant_id: str
    model_id: int
    build: bool


class BuildGraphs:
    """Does the next thing that is to do, if no other server builds."""

    def __init__(
        self,
        database: Database,
        known: Graphs,
        model_id: int,
        dimensions: int,
        holder: UUID,
        *,
        threshold: int,
        memory_mb: int,
    ) -> None:
        self._database = database
        self._known = known
        self._model_id = model_id
        self._dimensions = dimensions
        self._holder = holder
        self._threshold = threshold
        self._memory_mb = memory_mb
        self._retry_at: dict[str, float] = {}

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
        return False

    async def _jobs(self) -> list[_Job]:
        """What is to do: drops first, they make room."""
        least = max(1, int(self._threshold * KEEP_SHARE))
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            found = await graphs.all_(tx)
            large = await graphs.sizes(tx, least=least, most=self._threshold)
        drops = [
            _Job(graph.tenant_id, graph.model_id, build=False)
            for graph in found
            if graph.tenant_id not in large or graph.state == "dropping"
        ]
        here = {graph.tenant_id: graph for graph in found if graph.model_id == self._model_id}
        builds = [
            _Job(tenant_id, self._model_id, build=True)
            for tenant_id, messages in sorted(large.items())
            if messages >= self._threshold and self._is_missing(here.get(tenant_id), tenant_id)
        ]
        return drops + builds if self._dimensions <= graphs.MOST_DIMENSIONS else drops

    def _is_missing(self, graph: Graph | None, tenant_id: str) -> bool:
        if time.monotonic() < self._retry_at.get(tenant_id, 0.0):
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
                        connection, job.tenant_id, job.model_id, self._dimensions, messages, self._memory_mb
                    )
                outcome = "ready"
            except Exception:
                self._retry_at[job.tenant_id] = time.monotonic() + RETRY_SECONDS
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
            async with self._database.transaction(tenant=job.tenant_id) as tx:
                await graphs.forget(tx, job.tenant_id, job.model_id)
        log.info("graph_dropped")
        return True

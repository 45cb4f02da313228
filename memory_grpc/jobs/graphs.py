"""Builds the graphs of tenants that outgrew the scan, and drops those of tenants that shrank; then their words."""

from __future__ import annotations

import time
from dataclasses import dataclass

import structlog

from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.trouble import Rests, Trouble, at_best
from memory_grpc.jobs.words import IndexWords
from memory_grpc.observability import metrics
from memory_grpc.operations.indexes.graphs import Graphs
from memory_grpc.store import graphs, models, reembedding
from memory_grpc.store.database import EVERY_TENANT, Database

LEASE = "graphs"
LEASE_SECONDS = 60.0
# A tenant that shrank keeps its graph until it has this share of the threshold: one that goes up and down about the
# threshold would be built and dropped all day.
KEEP_SHARE = 0.5
# What failed, for want of disk perhaps, is tried again after this.
RETRY_SECONDS = 600.0

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
        lease: Lease,
        known: Graphs,
        words: IndexWords,
        *,
        threshold: int,
        memory_mb: int,
    ) -> None:
        self._database = database
        self._lease = lease
        self._known = known
        self._words = words
        self._threshold = threshold
        self._memory_mb = memory_mb
        self._rests = Rests(RETRY_SECONDS)

    async def __call__(self) -> bool:
        """Builds or drops one graph; True when something was done, so that there may be more.

        What cannot be built, for want of disk perhaps, keeps nothing else from its turn. Raises StoreUnavailable when
        the database is away, and LeaseLost; a build that was cut off is begun anew by the next call, of any server.
        """
        async with self._lease as lease:
            if lease is None:
                return False
            trouble = Trouble(self._database, "graphs")
            for job in self._rests.awake(await self._jobs()):
                done = False
                async with trouble.of_one() as attempt:
                    done = await (self._build(job, lease) if job.build else self._drop(job, lease))
                if attempt.failed:
                    self._rests.begin(job)
                if done:
                    await self._known.refresh()
                    return True
            return await self._words(lease)

    async def _jobs(self) -> list[_Job]:
        """What is to do: drops first, they make room. A tenant's graph is of the model that its searches read, and of
        the one that they are about to read, so that it is there at the cut-over."""
        least = max(1, int(self._threshold * KEEP_SHARE))
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            found = await graphs.all_(tx)
            large = await graphs.sizes(tx, least=least, most=self._threshold)
            dimensions = {model.id: model.dimensions for model in await models.all_(tx)}
            coming = await reembedding.current(tx)
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
        usable = {(graph.tenant_id, graph.model_id) for graph in found if graph.usable}
        builds = [
            _Job(tenant_id, model_id, dimensions[model_id], build=True)
            for tenant_id, messages in sorted(large.items())
            for model_id in wanted[tenant_id]
            if messages >= self._threshold
            and dimensions[model_id] <= graphs.MOST_DIMENSIONS
            and (tenant_id, model_id) not in usable
        ]
        return drops + builds

    async def _build(self, job: _Job, lease: Lease) -> bool:
        """False when the index is in the hands of another connection."""
        name = graphs.index_name(job.tenant_id, job.model_id)
        async with self._database.maintenance() as connection:
            if not await graphs.claim(connection, name):
                return False
            started = time.monotonic()
            async with self._database.transaction(tenant=job.tenant_id) as tx:
                messages = await graphs.begin(tx, job.tenant_id, job.model_id)
                await lease.guard(tx)
            try:
                # One that is valid was finished by a server that did not live to say so.
                if not await graphs.valid(connection, name):
                    await graphs.drop(connection, name)
                    await graphs.create(
                        connection, job.tenant_id, job.model_id, job.dimensions, messages, self._memory_mb
                    )
            except BaseException:
                with at_best("note that a graph was not built"):
                    await self._note(job, lease, "failed", messages, started)
                raise
            await self._note(job, lease, "ready", messages, started)
        return True

    async def _note(self, job: _Job, lease: Lease, outcome: str, messages: int, started: float) -> None:
        seconds = time.monotonic() - started
        metrics.GRAPH_BUILDS.labels(outcome).inc()
        metrics.GRAPH_BUILD_SECONDS.observe(seconds)
        log.info("graph_built", outcome=outcome, messages=messages, seconds=round(seconds, 1))
        async with self._database.transaction(tenant=job.tenant_id) as tx:
            await graphs.set_state(tx, job.tenant_id, job.model_id, outcome)
            await lease.guard(tx)

    async def _drop(self, job: _Job, lease: Lease) -> bool:
        """False when the index is in the hands of another connection."""
        name = graphs.index_name(job.tenant_id, job.model_id)
        async with self._database.maintenance() as connection:
            if not await graphs.claim(connection, name):
                return False
            async with self._database.transaction(tenant=job.tenant_id) as tx:
                await graphs.set_state(tx, job.tenant_id, job.model_id, "dropping")
                await lease.guard(tx)
            await graphs.drop(connection, name)
            if job.is_last:
                await self._words.drop(job.tenant_id, lease)
            async with self._database.transaction(tenant=job.tenant_id) as tx:
                await graphs.forget(tx, job.tenant_id, job.model_id)
                await lease.guard(tx)
        log.info("graph_dropped")
        return True

"""The scheduled sweep of all tenants.

::

    sleeping ──due──▶ asking ──lease──▶ sweeping ──▶ ok, or failed: sleeping
                        │
                        └──held by another──▶ sleeping

Every server runs it and wakes now and then. A sweep is due when the last one, on whatever server, began
MEMORY_RETENTION_SCHEDULE_SECONDS ago or more, by the database's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from memory_grpc.domain.retention import RetentionCounts
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.trouble import Trouble, at_best
from memory_grpc.observability import metrics
from memory_grpc.operations.retention.retain import Retain
from memory_grpc.store import idempotency, messages, retention
from memory_grpc.store.database import EVERY_TENANT, Database

LEASE = "retention"
LEASE_SECONDS = 60.0
ACTIONS = ("archive", "delete")

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Run:
    """A sweep so far; ``tenants`` were swept to the end."""

    id: int
    trouble: Trouble
    tenants: int = 0
    counts: RetentionCounts = field(default_factory=RetentionCounts)


class Sweep:
    """Sweeps every tenant if a sweep is due and no other server sweeps."""

    def __init__(
        self,
        database: Database,
        lease: Lease,
        retain: Retain,
        *,
        schedule_seconds: float,
        idempotency_hours: float,
        batch_size: int,
    ) -> None:
        self._database = database
        self._lease = lease
        self._retain = retain
        self._schedule_seconds = schedule_seconds
        self._idempotency_hours = idempotency_hours
        self._batch_size = batch_size

    async def __call__(self) -> RetentionCounts | None:
        """The counts of a sweep, or None when none was due or another server has the lease.

        A tenant that cannot be swept keeps nobody else from it: the sweep goes on, and is noted as failed. Raises
        StoreUnavailable when the database is away, and LeaseLost; what was swept before stays swept.
        """
        if not await self._is_due():
            return None
        async with self._lease as lease:
            if lease is None:
                return None
            run_id = await self._begin(lease)
            if run_id is None:
                return None
            run = _Run(run_id, Trouble(self._database, "retention"))
            try:
                await self._sweep(lease, run)
            except BaseException:
                with at_best("note that the sweep failed"):
                    await self._end(run, "failed")
                raise
            await self._end(run, "failed" if run.trouble.failed else "ok")
            return run.counts

    async def _is_due(self) -> bool:
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            since = await retention.seconds_since_last_run(tx)
        return since is None or since >= self._schedule_seconds

    async def _begin(self, lease: Lease) -> int | None:
        # Asked again under the lease, so that two servers that wake together do not both find the sweep due.
        if not await self._is_due():
            return None
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            run_id = await retention.begin_run(tx)
            await lease.guard(tx)
        return run_id

    async def _sweep(self, lease: Lease, run: _Run) -> None:
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            tenants = await messages.tenants(tx)
        for tenant_id in tenants:
            async with run.trouble.of_one():
                run.counts += await self._retain(tenant_id, ACTIONS, dry_run=False, guard=lease.guard)
                run.tenants += 1
        async with run.trouble.of_one():
            await self._forget_request_ids(lease)

    async def _forget_request_ids(self, lease: Lease) -> None:
        while True:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                forgotten = await idempotency.expire(tx, self._idempotency_hours, self._batch_size)
                await lease.guard(tx)
            if forgotten < self._batch_size:
                return

    async def _end(self, run: _Run, status: str) -> None:
        metrics.SWEEPS.labels(status).inc()
        log.info(
            "retention_sweep",
            status=status,
            tenants=run.tenants,
            failed=run.trouble.failed,
            archived=run.counts.archived,
            deleted=run.counts.deleted,
        )
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            await retention.end_run(tx, run.id, status, run.tenants, run.trouble.failed, run.counts)

"""One sweep of all tenants under the lease."""

from __future__ import annotations

from uuid import UUID

import structlog

from memory_grpc.domain import RetentionCounts
from memory_grpc.errors import LeaseLost
from memory_grpc.observability import metrics
from memory_grpc.operations.retain import Retain
from memory_grpc.store import idempotency, leases, messages, retention
from memory_grpc.store.database import EVERY_TENANT, Database, Transaction

LEASE = "retention"
LEASE_SECONDS = 60.0
ACTIONS = ("archive", "delete")

log = structlog.get_logger(__name__)


class Sweep:
    """Sweeps every tenant if a sweep is due and no other server sweeps."""

    def __init__(
        self,
        database: Database,
        retain: Retain,
        holder: UUID,
        *,
        schedule_seconds: float,
        idempotency_hours: float,
        batch_size: int,
    ) -> None:
        self._database = database
        self._retain = retain
        self._holder = holder
        self._schedule_seconds = schedule_seconds
        self._idempotency_hours = idempotency_hours
        self._batch_size = batch_size

    async def __call__(self) -> RetentionCounts | None:
        """The counts of a sweep, or None when none was due or another server has the lease.

        Raises StoreUnavailable and LeaseLost; what was swept before stays swept.
        """
        run_id = await self._begin()
        if run_id is None:
            return None
        counts, tenants, status = RetentionCounts(), 0, "failed"
        try:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                names = await messages.tenants(tx)
            for tenant_id in names:
                counts += await self._retain(tenant_id, ACTIONS, dry_run=False, guard=self._hold)
                tenants += 1
            await self._forget_request_ids()
            status = "ok"
        finally:
            metrics.SWEEPS.labels(status).inc()
            log.info(
                "retention_sweep", status=status, tenants=tenants, archived=counts.archived, deleted=counts.deleted
            )
            await self._end(run_id, status, tenants, counts)
        return counts

    async def _begin(self) -> int | None:
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            if not await leases.acquire(tx, LEASE, self._holder, LEASE_SECONDS):
                return None
            # Asked under the lease, so that two servers that wake together do not both find the sweep due.
            since = await retention.seconds_since_last_run(tx)
            if since is not None and since < self._schedule_seconds:
                await leases.release(tx, LEASE, self._holder)
                return None
            return await retention.begin_run(tx)

    async def _hold(self, tx: Transaction) -> None:
        if not await leases.renew(tx, LEASE, self._holder, LEASE_SECONDS):
            raise LeaseLost

    async def _forget_request_ids(self) -> None:
        while True:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                await self._hold(tx)
                if await idempotency.expire(tx, self._idempotency_hours, self._batch_size) < self._batch_size:
                    return

    async def _end(self, run_id: int, status: str, tenants: int, counts: RetentionCounts) -> None:
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            await retention.end_run(tx, run_id, status, tenants, counts)
            await leases.release(tx, LEASE, self._holder)

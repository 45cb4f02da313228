"""Retain: archives and deletes one tenant's messages by its policy, in bounded batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import datetime

import structlog

from memory_grpc.domain.policy import RetentionLimits
from memory_grpc.domain.retention import RetentionCounts
from memory_grpc.observability import metrics
from memory_grpc.operations.policy.policies import Policies
from memory_grpc.operations.retention.turns import Turns
from memory_grpc.store import clock, models, retention
from memory_grpc.store.database import Database, Transaction
from memory_grpc.store.guard import Guard, no_guard
from memory_grpc.store.retention import Stop

# How long a batch waits for its tenant: one that is held up is tried again by the next sweep, and holds up no other.
LOCK_MILLISECONDS = 5000

# Each has a connection of those for administration and jobs.
_AT_ONCE = 2

log = structlog.get_logger(__name__)

Batch = Callable[[Transaction, str, RetentionLimits, datetime, int, Stop | None], Awaitable[tuple[int, Stop]]]


class Retain:
    """Archiving comes before deleting; each batch is a transaction of its own."""

    def __init__(self, database: Database, policies: Policies, batch_size: int) -> None:
        self._database = database
        self._policies = policies
        self._batch_size = batch_size
        self._turns = Turns(_AT_ONCE)

    async def __call__(
        self, tenant_id: str, actions: Collection[str], *, dry_run: bool, guard: Guard = no_guard
    ) -> RetentionCounts:
        """Counts of what was done, or would be (``dry_run``), at the database's time of the call.

        ``guard`` runs last in every transaction that changes something, and is a sweep's; who comes without waits for
        its turn. Raises Overloaded where many of the tenant's wait already.
        Raises StoreUnavailable and DeadlineExceeded; the batches before it stay done.
        """
        if guard is not no_guard:
            return await self._retain(tenant_id, actions, dry_run=dry_run, guard=guard)
        async with self._turns.of(tenant_id):
            return await self._retain(tenant_id, actions, dry_run=dry_run, guard=guard)

    async def _retain(
        self, tenant_id: str, actions: Collection[str], *, dry_run: bool, guard: Guard
    ) -> RetentionCounts:
        limits = (await self._policies.get(tenant_id, fresh=True)).retention
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            now = await clock.now(tx)
            if dry_run:
                return RetentionCounts(
                    archived=await retention.count_archive(tx, tenant_id, limits, now) if "archive" in actions else 0,
                    deleted=(await retention.count_delete(tx, tenant_id, limits, now))[0] if "delete" in actions else 0,
                )
        counts = RetentionCounts()
        if "archive" in actions:
            counts += RetentionCounts(archived=await self._all(retention.archive, tenant_id, limits, now, guard))
        if "delete" in actions:
            await self._announce(tenant_id, limits, now)
            counts += RetentionCounts(deleted=await self._all(retention.delete, tenant_id, limits, now, guard))
        metrics.RETAINED.labels("archive").inc(counts.archived)
        metrics.RETAINED.labels("delete").inc(counts.deleted)
        return counts

    async def _announce(self, tenant_id: str, limits: RetentionLimits, now: datetime) -> None:
        """Says in the log what is about to be deleted, while it is there: nobody gets it back."""
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            deleted, expired = await retention.count_delete(tx, tenant_id, limits, now)
        if deleted:
            log.info(
                "retention_deletes",
                tenant_id=tenant_id,
                from_archive=deleted - expired,
                delete_after_days=limits.delete_after_days,
                expired=expired,
            )

    async def _all(self, batch: Batch, tenant_id: str, limits: RetentionLimits, now: datetime, guard: Guard) -> int:
        total, stop = 0, None
        while True:
            async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                await models.lock_tenant_exclusive(tx, tenant_id, LOCK_MILLISECONDS)
                done, stop = await batch(tx, tenant_id, limits, now, self._batch_size, stop)
                await guard(tx)
            total += done
            if done < self._batch_size:
                return total

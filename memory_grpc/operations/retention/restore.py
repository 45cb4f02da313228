"""Restore: takes messages back from the archive, in bounded batches."""

from __future__ import annotations

from datetime import datetime

from memory_grpc.domain.retention import RestoredCounts
from memory_grpc.filtering import Node, where
from memory_grpc.observability import metrics
from memory_grpc.operations.policy.policies import Policies
from memory_grpc.operations.retention.retain import LOCK_MILLISECONDS
from memory_grpc.operations.retention.turns import Turns
from memory_grpc.store import clock, models, retention
from memory_grpc.store.database import Database

# Each has a connection of those for administration and jobs.
_AT_ONCE = 2


class Restore:
    """The other way round than archiving; each batch is a transaction of its own."""

    def __init__(self, database: Database, policies: Policies, batch_size: int) -> None:
        self._database = database
        self._policies = policies
        self._batch_size = batch_size
        self._turns = Turns(_AT_ONCE)

    async def __call__(
        self, tenant_id: str, node: Node, archived_since: datetime | None, *, dry_run: bool
    ) -> RestoredCounts:
        """Restores what passes a filter and was archived at ``archived_since`` or later (None: whenever), up to now.

        Raises Overloaded where many of the tenant's wait already, StoreUnavailable (also where its lock is not had in
        time) and DeadlineExceeded; the batches before it stay restored.
        """
        async with self._turns.of(tenant_id):
            return await self._restore(tenant_id, node, archived_since, dry_run=dry_run)

    async def _restore(
        self, tenant_id: str, node: Node, archived_since: datetime | None, *, dry_run: bool
    ) -> RestoredCounts:
        limits = (await self._policies.get(tenant_id, fresh=True)).retention
        condition = where(node, "m")
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            now = await clock.now(tx)
            if dry_run:
                return await retention.count_restore(tx, tenant_id, limits, now, condition, archived_since)
        counts, last = RestoredCounts(), None
        while True:
            async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                await models.lock_tenant_exclusive(tx, tenant_id, LOCK_MILLISECONDS)
                batch, last = await retention.restore(
                    tx, tenant_id, limits, now, condition, archived_since, self._batch_size, last
                )
            counts += batch
            metrics.RETAINED.labels("restore").inc(batch.restored)
            if batch.restored < self._batch_size:
                return counts

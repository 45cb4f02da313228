"""Statistics: what is stored of a tenant, and when it was swept."""

from __future__ import annotations

from memory_grpc.domain.retention import RetentionRun
from memory_grpc.domain.statistics import TenantStatistics
from memory_grpc.store import retention, statistics
from memory_grpc.store.database import EVERY_TENANT, Database


class Statistics:
    """Counts at a bounded cost."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, tenant_id: str) -> tuple[TenantStatistics, RetentionRun | None]:
        """What is stored, and the deployment's last scheduled sweep; None when there was none."""
        async with self._database.transaction(tenant=tenant_id, plan="each", at_one_moment=True) as tx:
            found = await statistics.get(tx, tenant_id)
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            return found, await retention.last_run(tx)

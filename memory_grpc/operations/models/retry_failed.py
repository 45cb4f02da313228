"""Retry failed: queues messages again whose embedding was given up."""

from __future__ import annotations

from memory_grpc.store import jobs
from memory_grpc.store.database import Database


class RetryFailed:
    """For after a model was down for longer than the tries last."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, tenant_id: str) -> int:
        """Makes the tenant's failed messages pending again; returns how many there were."""
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            return await jobs.retry_failed(tx, tenant_id)

"""Measure: exports how long the queue of pending messages is."""

from __future__ import annotations

from memory_grpc.observability import metrics
from memory_grpc.store import jobs
from memory_grpc.store.database import EVERY_TENANT, Database


class Measure:
    """Looks at the queue of all servers; each exports the same."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> None:
        """Exports how many jobs wait, and how long the oldest has. Raises StoreUnavailable."""
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            depth, oldest_seconds = await jobs.depth(tx)
        metrics.JOBS_WAITING.set(depth)
        metrics.JOBS_OLDEST_SECONDS.set(oldest_seconds)

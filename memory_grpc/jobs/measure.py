"""Measure: what only the database knows, looked at in the background so that no scrape waits for it.

Every server measures for itself and exports the same figures, which are those of all servers and all tenants.
"""

from __future__ import annotations

import time

from memory_grpc import deadline
from memory_grpc.observability import metrics
from memory_grpc.store import clock, jobs, measures
from memory_grpc.store.database import EVERY_TENANT, Database

# Past this a database counts as down, also where it neither answers nor breaks.
PATIENCE_SECONDS = 5.0


class Measure:
    """Looks whether the database answers, at the queue of pending messages, and at the last sweep."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> None:
        """Exports what it finds. Raises StoreUnavailable and DeadlineExceeded; the database counts as down then."""
        try:
            with deadline.within(PATIENCE_SECONDS):
                async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                    started = time.perf_counter()
                    writable = await clock.tick(tx)
                    metrics.DATABASE_LATENCY_SECONDS.set(time.perf_counter() - started)
                    depth, oldest_seconds = await jobs.depth(tx)
                    swept_at = await measures.last_sweep(tx)
        except Exception:
            metrics.DATABASE_UP.set(0)
            metrics.DATABASE_WRITABLE.set(0)
            raise
        metrics.DATABASE_UP.set(1)
        metrics.DATABASE_WRITABLE.set(writable)
        metrics.JOBS_WAITING.set(depth)
        metrics.JOBS_OLDEST_SECONDS.set(oldest_seconds)
        metrics.LAST_SWEEP.set(swept_at)


class MeasureSizes:
    """Looks how much is stored."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> None:
        """Exports messages and bytes. Raises StoreUnavailable."""
        with deadline.within(PATIENCE_SECONDS):
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                sizes = await measures.tables(tx)
        for table in sizes:
            metrics.DATABASE_BYTES.labels(table.name).set(table.bytes)
            if table.name == "messages":
                metrics.MESSAGES.set(table.rows)

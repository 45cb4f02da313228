"""Health: whether the database answers, how fast, and what the retention job did last."""

from __future__ import annotations

import time
from dataclasses import dataclass

from memory_grpc import deadline
from memory_grpc.domain.retention import RetentionRun
from memory_grpc.errors import DeadlineExceeded, StoreUnavailable
from memory_grpc.store import clock, retention
from memory_grpc.store.database import EVERY_TENANT, Database

# A health check that waits for a dead database tells its caller nothing.
PATIENCE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class HealthReport:
    """``latency_ms`` is None while the database is down; ``last_run`` None when there was no sweep."""

    latency_ms: float | None
    last_run: RetentionRun | None
    writable: bool = False


class Health:
    """Asks the database, briefly."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self) -> HealthReport:
        """A report; never raises for a database that is down."""
        try:
            with deadline.within(PATIENCE_SECONDS):
                async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                    started = time.perf_counter()
                    writable = await clock.tick(tx)
                    latency_ms = (time.perf_counter() - started) * 1000
                    return HealthReport(latency_ms, await retention.last_run(tx), writable)
        except (StoreUnavailable, DeadlineExceeded):
            return HealthReport(None, None)

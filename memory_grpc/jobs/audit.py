"""ExpireAudit: forgets what was recorded long ago."""

from __future__ import annotations

import structlog

from memory_grpc.operations.audit.trail import Trail
from memory_grpc.store import audit
from memory_grpc.store.database import EVERY_TENANT, Database

log = structlog.get_logger(__name__)

_BATCH_SIZE = 1000


class ExpireAudit:
    """Several servers at once take different events: it needs no lease."""

    def __init__(self, database: Database, days: float) -> None:
        self._database = database
        self._days = days

    async def __call__(self) -> bool:
        """Forgets a batch; whether there may be more. Raises StoreUnavailable."""
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            return await audit.expire(tx, self._days, _BATCH_SIZE) == _BATCH_SIZE


async def flushed(trail: Trail) -> None:
    """Records what still waits when the server ends; without the database it is lost, and the log says that."""
    try:
        while await trail.flush():
            pass
    except Exception as error:
        log.warning("audit_not_recorded", error=type(error).__name__)

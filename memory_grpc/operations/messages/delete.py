"""Delete: erases one message at once."""

from __future__ import annotations

from uuid import UUID

from memory_grpc.errors import NotFound
from memory_grpc.store import erasure, models
from memory_grpc.store.database import Database


class Delete:
    """Erases a live or an archived message, and everything that follows from it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, message_id: UUID, tenant_id: str) -> None:
        """Returns when nothing but a digest of its id is left. Raises NotFound, where it is gone already too."""
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            await models.lock_tenant_exclusive(tx, tenant_id)
            counts = await erasure.erase(tx, tenant_id, [message_id])
            if not counts["messages"]:
                raise NotFound  # and nothing is noted of an id that was never here

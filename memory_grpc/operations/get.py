"""Get: one message by its id."""

from __future__ import annotations

from uuid import UUID

from memory_grpc.domain import StoredMessage
from memory_grpc.errors import NotFound
from memory_grpc.store import messages
from memory_grpc.store.database import EVERY_TENANT, Database


class Get:
    """Finds live and archived messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, message_id: UUID, tenant_id: str | None) -> StoredMessage:
        """The message, if it belongs to ``tenant_id`` (None: to any). Raises NotFound."""
        # An id alone says nothing of whose message it is: then it is looked for among all tenants.
        scope = EVERY_TENANT if tenant_id is None else tenant_id
        async with self._database.transaction(tenant=scope) as tx:
            message = await messages.get(tx, message_id, tenant_id)
        if message is None:
            raise NotFound
        return message

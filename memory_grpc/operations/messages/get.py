"""Get: one message by its id."""

from __future__ import annotations

from uuid import UUID

from memory_grpc.access import Grant
from memory_grpc.domain.messages import StoredMessage
from memory_grpc.errors import NotFound
from memory_grpc.store import messages
from memory_grpc.store.database import EVERY_TENANT
from memory_grpc.store.replicas import Reader


class Get:
    """Finds live and archived messages."""

    def __init__(self, database: Reader) -> None:
        self._database = database

    async def __call__(self, message_id: UUID, tenant_id: str | None, grant: Grant) -> StoredMessage:
        """The message, if it belongs to ``tenant_id`` (None: to any) and the grant reaches it. Raises NotFound.

        A message of a tenant out of reach takes the same query as one that is not there.
        """
        tenants = _within(tenant_id, grant)
        if tenants == []:
            raise NotFound
        # An id alone says nothing of whose message it is: then it is looked for among all tenants of the grant.
        scope = tenants[0] if tenants is not None and len(tenants) == 1 else EVERY_TENANT
        async with self._database.transaction(tenant=scope) as tx:
            message = await messages.get(tx, message_id, tenants)
        if message is None:
            raise NotFound
        return message


def _within(tenant_id: str | None, grant: Grant) -> list[str] | None:
    """The tenants to look in; None for all."""
    if tenant_id is not None:
        return [tenant_id] if grant.reaches(tenant_id) else []
    return None if grant.tenants is None else sorted(grant.tenants)

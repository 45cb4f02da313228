"""Get: one message by its id."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from memory_grpc.access import Grant
from memory_grpc.domain.messages import StoredMessage
from memory_grpc.errors import FieldViolation, InvalidInput, NotFound
from memory_grpc.store import messages, revisions
from memory_grpc.store.database import EVERY_TENANT
from memory_grpc.store.replicas import Reader


class Get:
    """Finds live and archived messages."""

    def __init__(self, database: Reader) -> None:
        self._database = database

    async def __call__(
        self, message_id: UUID, tenant_id: str | None, grant: Grant, as_of: datetime | None = None
    ) -> StoredMessage:
        """The message, if it belongs to ``tenant_id`` (None: to any) and the grant reaches it; as it was at ``as_of``.
        Raises NotFound, and InvalidInput for a moment of more tenants than one.

        A message of a tenant out of reach takes the same query as one that is not there.
        """
        tenants = _within(tenant_id, grant)
        if tenants == []:
            raise NotFound
        # An id alone says nothing of whose message it is: then it is looked for among all tenants of the grant.
        scope = tenants[0] if tenants is not None and len(tenants) == 1 else EVERY_TENANT
        if as_of is not None and not isinstance(scope, str):
            raise InvalidInput([FieldViolation("tenant_id", "is required with as_of")])
        async with self._database.transaction(tenant=scope, at_one_moment=as_of is not None) as tx:
            if isinstance(scope, str):
                await revisions.look_back(tx, scope, as_of)
            message = await messages.get(tx, message_id, tenants, as_of)
        if message is None:
            raise NotFound
        return message


def _within(tenant_id: str | None, grant: Grant) -> list[str] | None:
    """The tenants to look in; None for all."""
    if tenant_id is not None:
        return [tenant_id] if grant.reaches(tenant_id) else []
    return None if grant.tenants is None else sorted(grant.tenants)

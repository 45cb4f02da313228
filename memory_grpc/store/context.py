"""The messages that a context begins with: the newest, and the pinned."""

from __future__ import annotations

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.store import messages
from memory_grpc.store.database import Deferred, Transaction
from memory_grpc.store.filters import Filter
from memory_grpc.store.queries import part

# So many are looked at for those that pass a filter: a long conversation of which nothing passes is not read through.
_LOOKED_AT = 1_000


async def newest_of_conversation(
    tx: Transaction, tenant_id: str, conversation_id: str, filter_: Filter, most: int
) -> Deferred[list[StoredMessage]]:
    """The newest turns of a conversation that pass, newest first."""
    return await _asked(tx, "context.of_conversation", tenant_id, conversation_id, filter_, most)


async def newest_of_user(
    tx: Transaction, tenant_id: str, user_id: str, filter_: Filter, most: int
) -> Deferred[list[StoredMessage]]:
    """The newest turns of an end user that pass, newest first."""
    return await _asked(tx, "context.of_user", tenant_id, user_id, filter_, most)


async def pinned(
    tx: Transaction, tenant_id: str, user_id: str | None, filter_: Filter, most: int
) -> Deferred[list[StoredMessage]]:
    """The newest pinned messages that pass, of an end user or of all, newest first."""
    of = "context.pinned" if user_id is None else "context.pinned_of_user"
    return await _asked(tx, of, tenant_id, user_id, filter_, most)


async def _asked(
    tx: Transaction, of: str, tenant_id: str, whose: str | None, filter_: Filter, most: int
) -> Deferred[list[StoredMessage]]:
    params = filter_.params | {"tenant_id": tenant_id, "whose": whose, "looked_at": _LOOKED_AT, "most": most}
    parts = (*filter_.parts, ("whose", part(of)))
    return await tx.defer("context.newest", params, messages.stored, parts=parts)

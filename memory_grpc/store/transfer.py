"""messages and message_embeddings, taken out page by page and put back as they were."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

import numpy as np
from psycopg.types.json import Jsonb

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.filtering import Where
from memory_grpc.store.database import Params, Transaction
from memory_grpc.store.portions import portions

# Of the texts that a statement reads: to read more at once would hold everybody's calls up.
PAGE_BYTES = 2 * 2**20


async def page(
    tx: Transaction, tenant_id: str, where: Where, after: UUID, limit: int
) -> tuple[list[StoredMessage], UUID | None]:
    """Of the next ``limit`` messages past ``after``, or fewer long ones, those that pass, by id; and the last that was
    looked at, None where there are no more."""
    params = {**where.params, "tenant_id": tenant_id, "after": after, "limit": limit, "most_bytes": PAGE_BYTES}
    rows = await tx.all("transfer.page", params, parts=(("filter", where.text),))
    last_id = rows[0]["last_id"] if rows else None
    for row in rows:
        del row["last_id"], row["bytes_before"]
    return [StoredMessage(**row) for row in rows if row["id"] is not None], last_id


async def vectors(
    tx: Transaction, tenant_id: str, model_id: int, message_ids: Sequence[UUID]
) -> dict[UUID, tuple[bytes, ...]]:
    """The vectors that a model made of messages, one a window, as 16-bit floats; messages without any are missing."""
    params = {"tenant_id": tenant_id, "model_id": model_id, "message_ids": list(message_ids)}
    found: dict[UUID, list[bytes]] = {}
    for row in await tx.all("transfer.vectors", params):
        window = np.asarray(row["embedding"].to_numpy(), dtype="<f2").tobytes()
        found.setdefault(row["message_id"], []).append(window)
    return {id_: tuple(windows) for id_, windows in found.items()}


async def insert_many(tx: Transaction, tenant_id: str, messages: Sequence[StoredMessage]) -> set[UUID]:
    """Stores messages as they were; returns the ids of those that were stored: the others' are taken."""
    stored: set[UUID] = set()
    ordered = sorted(messages, key=lambda message: message.id)
    async for some in portions(ordered, lambda message: 2 * len(message.content)):
        stored |= {row["id"] for row in await tx.all("transfer.insert_many", _new(tenant_id, some))}
    return stored


async def there(tx: Transaction, tenant_id: str, ids: Sequence[UUID]) -> dict[UUID, StoredMessage]:
    """What the tenant has under these ids, expired or not."""
    rows = await tx.all("transfer.there", {"tenant_id": tenant_id, "ids": list(ids)})
    return {row["id"]: StoredMessage(**row) for row in rows}


async def lock(tx: Transaction, tenant_id: str, ids: Collection[UUID]) -> dict[UUID, StoredMessage]:
    """The same; nobody updates or deletes them until the transaction ends."""
    rows = await tx.all("transfer.lock", {"tenant_id": tenant_id, "ids": list(ids)})
    return {row["id"]: StoredMessage(**row) for row in rows}


async def archive_words(tx: Transaction, tenant_id: str, message_ids: Sequence[UUID]) -> None:
    """Marks the words of messages that were stored in this transaction as archived."""
    await tx.execute("transfer.archive_words", {"tenant_id": tenant_id, "message_ids": list(message_ids)})


def _new(tenant_id: str, messages: Sequence[StoredMessage]) -> Params:
    return {
        "tenant_id": tenant_id,
        "ids": [m.id for m in messages],
        "conversation_ids": [m.conversation_id for m in messages],
        "user_ids": [m.user_id for m in messages],
        "roles": [m.role for m in messages],
        "names": [m.name for m in messages],
        "contents": [m.content for m in messages],
        "metadatas": [Jsonb(m.metadata) for m in messages],
        "importances": [m.importance for m in messages],
        "embedding_statuses": [m.embedding_status for m in messages],
        "created_ats": [m.created_at for m in messages],
        "archived_ats": [m.archived_at for m in messages],
        "pinneds": [m.pinned for m in messages],
        "expires_ats": [m.expires_at for m in messages],
        "revisions": [m.revision for m in messages],
        "languages": [m.language for m in messages],
    }

"""message_revisions: how a message becomes another, and what it was."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.revisions import Revision
from memory_grpc.store import lexical, page_bytes
from memory_grpc.store.database import Transaction

_BEFORE_ALL = 2**31 - 1


async def lock(tx: Transaction, tenant_id: str, message_id: UUID) -> tuple[StoredMessage, datetime] | None:
    """A message that is to be updated, and the time of the update; None where there is none."""
    row = await tx.one("revisions.lock", {"tenant_id": tenant_id, "id": message_id})
    if row is None:
        return None
    now = row.pop("now")
    return StoredMessage(**row), now


async def replace(tx: Transaction, before: StoredMessage, after: StoredMessage, config: str) -> StoredMessage:
    """Keeps ``before``, which ``lock`` gave, as a revision, and makes the message ``after``; ``updated_at`` says when.

    Vectors of other content are gone afterwards, and so is what waits to make some: whoever calls this sees to new
    ones. Call it under ``models.lock_tenant_exclusive``, so that nobody adds vectors of what the message said.
    """
    of = {"tenant_id": before.tenant_id, "id": before.id, "revision": before.revision, "now": after.updated_at}
    await tx.execute("revisions.keep", of)
    await tx.execute("revisions.keep_vectors", of)
    await tx.execute("revisions.keep_words", of)
    row = await tx.one(
        "revisions.update",
        of
        | {
            "content": after.content,
            "metadata": Jsonb(after.metadata),
            "name": after.name,
            "user_id": after.user_id,
            "importance": after.importance,
            "pinned": after.pinned,
            "expires_at": after.expires_at,
            "embedding_status": after.embedding_status,
        },
    )
    assert row is not None, "it is locked"
    updated = StoredMessage(**row)
    if after.content != before.content:
        await tx.execute("revisions.remove_vectors", of)
    else:
        await tx.execute("revisions.repeat", of)
    if (after.content, after.name) != (before.content, before.name):
        await tx.execute("revisions.remove_words", of)
        await lexical.insert_many(tx, before.tenant_id, config, [updated])
        if updated.archived_at is not None:
            await tx.execute("revisions.archive_words", of)
    return updated


async def page(
    tx: Transaction, tenant_id: str, message_id: UUID, before: int | None, limit: int
) -> tuple[list[Revision], int]:
    """Up to ``limit`` revisions of a message before one, the last first; and how many of them fit on a page
    (``page_bytes``): fewer where the rest is not on it."""
    given = {"tenant_id": tenant_id, "id": message_id, "before": _BEFORE_ALL if before is None else before}
    rows = await tx.all("revisions.page", given | {"limit": limit, "most_bytes": page_bytes.most_bytes()})
    fitting = page_bytes.take_fitting(rows)
    found = [
        Revision(valid_from=row.pop("valid_from"), valid_to=row.pop("valid_to"), message=StoredMessage(**row))
        for row in rows
    ]
    return found, fitting


async def look_back(tx: Transaction, tenant_id: str, moment: datetime | None) -> bool:
    """From here on the transaction reads the tenant's messages, vectors and words as they were at a moment, live or
    archived; says whether any were other than they are now. Without a moment, or where none were, nothing changes."""
    if moment is None:
        return False
    row = await tx.one("revisions.any_since", {"tenant_id": tenant_id, "moment": moment})
    if row is None or not row["found"]:
        return False
    tx.look_back(moment)
    return True

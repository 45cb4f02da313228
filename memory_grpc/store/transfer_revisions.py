"""message_revisions, taken out and put back as they were, with their vectors and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np
from psycopg.types.json import Jsonb

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.revisions import Revision
from memory_grpc.store import embeddings, lexical
from memory_grpc.store.database import Row, Transaction
from memory_grpc.store.embeddings import Vectors


async def of_messages(tx: Transaction, tenant_id: str, messages: Sequence[StoredMessage]) -> dict[UUID, list[Revision]]:
    """What messages were, the first first; those that were never updated are missing."""
    known = {message.id: message for message in messages if message.revision > 1}
    if not known:
        return {}
    found: dict[UUID, list[Revision]] = {}
    for row in await tx.all("transfer.revisions", {"tenant_id": tenant_id, "message_ids": list(known)}):
        found.setdefault(row["message_id"], []).append(_revision(row, known[row["message_id"]]))
    return found


async def vectors(
    tx: Transaction, tenant_id: str, model_id: int, message_ids: Sequence[UUID]
) -> dict[tuple[UUID, int], tuple[bytes, ...]]:
    """The vectors that a model made of revisions, by message and number, one a window, as 16-bit floats."""
    params = {"tenant_id": tenant_id, "model_id": model_id, "message_ids": list(message_ids)}
    found: dict[tuple[UUID, int], list[bytes]] = {}
    for row in await tx.all("transfer.revision_vectors", params):
        window = np.asarray(row["embedding"].to_numpy(), dtype="<f2").tobytes()
        found.setdefault((row["message_id"], row["revision"]), []).append(window)
    return {key: tuple(windows) for key, windows in found.items()}


async def insert(
    tx: Transaction, tenant_id: str, config: str, revision: Revision, model_id: int | None, vectors: Vectors | None
) -> None:
    """Stores what a message was, its words, and its vectors where there are any.

    For a message that was stored in this transaction and has neither words nor vectors yet: both are made as if they
    were its own, and moved.
    """
    was = revision.message
    of = {"tenant_id": tenant_id, "id": was.id, "revision": was.revision}
    await tx.execute(
        "transfer.insert_revision",
        of
        | {
            "valid_from": revision.valid_from,
            "valid_to": revision.valid_to,
            "user_id": was.user_id,
            "name": was.name,
            "content": was.content,
            "metadata": Jsonb(was.metadata),
            "importance": was.importance,
            "embedding_status": "pending" if vectors is None else "completed",
            "pinned": was.pinned,
            "expires_at": was.expires_at,
        },
    )
    await lexical.insert_many(tx, tenant_id, config, [was])
    await tx.execute("revisions.keep_words", of)
    await tx.execute("revisions.remove_words", of)
    if vectors is not None and model_id is not None:
        await embeddings.insert_many(tx, tenant_id, model_id, {was.id: vectors})
        await tx.execute("revisions.keep_vectors", of)
        await tx.execute("revisions.remove_vectors", of)


def _revision(row: Row, message: StoredMessage) -> Revision:
    del row["message_id"]
    valid_from, valid_to = row.pop("valid_from"), row.pop("valid_to")
    return Revision(replace(message, **row), valid_from, valid_to)

"""message_revisions, taken out and put back as they were, with their vectors and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np
from pgvector import HalfVector
from psycopg.types.json import Jsonb

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.revisions import Revision
from memory_grpc.domain.transfer import Rest
from memory_grpc.store import lexical, transfer
from memory_grpc.store.database import Params, Transaction
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.portions import portions

# That a statement reads at most, or is asked about.
_MOST = 256


async def of_messages(
    tx: Transaction, tenant_id: str, messages: Mapping[UUID, tuple[StoredMessage, Rest]]
) -> tuple[dict[UUID, list[Revision]], UUID | None]:
    """What messages, in the order of their ids, were, the first first, as far as one statement reads it; and the
    message from which on something may be missing, None where nothing is."""
    if not messages:
        return {}, None
    params = {
        "tenant_id": tenant_id,
        "message_ids": list(messages),
        "afters": [rest.after for _, rest in messages.values()],
        "befores": [rest.before for _, rest in messages.values()],
        "limit": _MOST,
        "most_bytes": transfer.PAGE_BYTES,
    }
    found: dict[UUID, list[Revision]] = {}
    rows = await tx.all("transfer.revisions", params)
    read_bytes = rows[-1]["bytes_before"] + len(rows[-1]["content"].encode()) if rows else 0
    is_cut = len(rows) == _MOST or read_bytes >= transfer.PAGE_BYTES
    for row in rows:
        id_, valid_from, valid_to = row.pop("message_id"), row.pop("valid_from"), row.pop("valid_to")
        del row["bytes_before"]
        found.setdefault(id_, []).append(Revision(replace(messages[id_][0], **row), valid_from, valid_to))
    return found, max(found) if is_cut else None


async def vectors(
    tx: Transaction, tenant_id: str, model_id: int, revisions: Sequence[Revision]
) -> dict[tuple[UUID, int], tuple[bytes, ...]]:
    """The vectors that a model made of revisions, by message and number, one a window, as 16-bit floats."""
    params = {
        "tenant_id": tenant_id,
        "model_id": model_id,
        "message_ids": [was.message.id for was in revisions],
        "revisions": [was.message.revision for was in revisions],
    }
    found: dict[tuple[UUID, int], list[bytes]] = {}
    for row in await tx.all("transfer.revision_vectors", params):
        window = np.asarray(row["embedding"].to_numpy(), dtype="<f2").tobytes()
        found.setdefault((row["message_id"], row["revision"]), []).append(window)
    return {key: tuple(windows) for key, windows in found.items()}


async def missing(tx: Transaction, tenant_id: str, id_: UUID, revisions: Sequence[Revision]) -> list[Revision] | None:
    """Which revisions of a message, in order, are not stored yet; None where not all of them belong to those that are:
    one of the same number has other times, or the times are not between those before and after."""
    found: list[Revision] = []
    for start in range(0, len(revisions), _MOST):
        some = revisions[start : start + _MOST]
        params = {
            "tenant_id": tenant_id,
            "id": id_,
            "revisions": [was.message.revision for was in some],
            "valid_froms": [was.valid_from for was in some],
            "valid_tos": [was.valid_to for was in some],
        }
        rows = await tx.all("transfer.fitting", params)
        if not all(row["known"] or row["fits"] for row in rows):
            return None
        found += [was for was, row in zip(some, rows, strict=True) if not row["known"]]
    return found


async def insert_many(
    tx: Transaction,
    tenant_id: str,
    config: str,
    revisions: Sequence[Revision],
    model_id: int | None,
    vectors: Mapping[tuple[UUID, int], Vectors],
) -> None:
    """Stores what messages that are there were, their words, and their vectors where there are any."""
    if not revisions:
        return
    configs = await (await lexical.begin(tx, tenant_id, config)).get()
    async for some in portions(revisions, lambda was: 2 * len(was.message.content)):
        has = [(was.message.id, was.message.revision) in vectors for was in some]
        await tx.execute("transfer.insert_revisions", _new(tenant_id, some, has))
    past = [
        lexical.Past(m.id, m.revision, m.name, m.content, m.role, m.language)
        for m in (was.message for was in revisions)
    ]
    await lexical.insert_revisions(tx, tenant_id, configs, past)
    if model_id is None:
        return
    keys = [(was.message.id, was.message.revision) for was in revisions]
    windows = [(key, chunk, vector) for key in keys for chunk, vector in enumerate(vectors.get(key, ()))]
    async for few in portions(windows, lambda window: window[2].nbytes):
        await tx.execute(
            "transfer.insert_revision_vectors",
            {
                "tenant_id": tenant_id,
                "model_id": model_id,
                "message_ids": [id_ for (id_, _), _, _ in few],
                "revisions": [number for (_, number), _, _ in few],
                "chunks": [chunk for _, chunk, _ in few],
                "embeddings": [HalfVector(vector) for _, _, vector in few],
            },
        )


def _new(tenant_id: str, revisions: Sequence[Revision], has_vectors: Sequence[bool]) -> Params:
    messages = [was.message for was in revisions]
    return {
        "tenant_id": tenant_id,
        "message_ids": [m.id for m in messages],
        "revisions": [m.revision for m in messages],
        "valid_froms": [was.valid_from for was in revisions],
        "valid_tos": [was.valid_to for was in revisions],
        "user_ids": [m.user_id for m in messages],
        "names": [m.name for m in messages],
        "contents": [m.content for m in messages],
        "metadatas": [Jsonb(m.metadata) for m in messages],
        "importances": [m.importance for m in messages],
        "embedding_statuses": ["completed" if has else "pending" for has in has_vectors],
        "pinneds": [m.pinned for m in messages],
        "expires_ats": [m.expires_at for m in messages],
    }

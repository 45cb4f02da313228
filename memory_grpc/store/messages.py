"""messages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from memory_grpc.domain.messages import PreparedMessage, StoredMessage
from memory_grpc.store.database import Deferred, Params, Row, Transaction
from memory_grpc.store.filters import Filter
from memory_grpc.store.portions import portions

# Turns before and after a message, oldest first.
Neighbours = tuple[list[StoredMessage], list[StoredMessage]]


async def insert_many(tx: Transaction, tenant_id: str, prepared: Sequence[PreparedMessage]) -> list[StoredMessage]:
    """Stores messages of one tenant; returns them in order, with the times that the database gave."""
    times: dict[UUID, Row] = {}
    async for some in portions(prepared, lambda one: max(one.message.size, len(one.message.content))):
        rows = await tx.all("messages.insert_many", _new(tenant_id, some))
        times |= {row["id"]: row for row in rows}
    return [
        StoredMessage(
            id=one.id,
            tenant_id=tenant_id,
            conversation_id=one.message.conversation_id,
            role=one.message.role,
            name=one.message.name,
            content=one.message.content,
            metadata=one.message.metadata,
            importance=one.importance,
            embedding_status=one.embedding_status,
            created_at=times[one.id]["created_at"],
            updated_at=times[one.id]["updated_at"],
            user_id=one.message.user_id,
            pinned=one.message.pinned,
            expires_at=times[one.id]["expires_at"],
            language=one.message.language,
        )
        for one in prepared
    ]


def _new(tenant_id: str, prepared: Sequence[PreparedMessage]) -> Params:
    new = [one.message for one in prepared]
    return {
        "tenant_id": tenant_id,
        "ids": [one.id for one in prepared],
        "conversation_ids": [m.conversation_id for m in new],
        "user_ids": [m.user_id for m in new],
        "roles": [m.role for m in new],
        "names": [m.name for m in new],
        "contents": [m.content for m in new],
        "metadatas": [Jsonb(m.metadata) for m in new],
        "importances": [one.importance for one in prepared],
        "embedding_statuses": [one.embedding_status for one in prepared],
        "created_ats": [m.created_at for m in new],
        "pins": [m.pinned for m in new],
        "expires_ats": [m.expires_at for m in new],
        "ttls_seconds": [m.ttl_seconds for m in new],
        "languages": [m.language for m in new],
    }


async def get(
    tx: Transaction, message_id: UUID, tenant_ids: Sequence[str] | None, as_of: datetime | None = None
) -> StoredMessage | None:
    """One message, live or archived; within ``tenant_ids`` unless that is None. With ``as_of``, as it was then, in one
    tenant that is looked back at."""
    given: dict[str, Any] = {"id": message_id, "tenant_ids": None if tenant_ids is None else [*tenant_ids]}
    given |= {"as_of": as_of, "tenant_id": tenant_ids[0] if tenant_ids else None}
    row = await tx.one("messages.get", given)
    return _stored(row) if row else None


async def get_many(tx: Transaction, tenant_id: str, ids: Sequence[UUID]) -> Deferred[dict[UUID, StoredMessage]]:
    """Messages of one tenant, live or archived, by id; unknown ids and expired messages are missing."""
    return await tx.defer("messages.get_many", {"tenant_id": tenant_id, "ids": list(ids)}, _by_id)


async def found(
    tx: Transaction, tenant_id: str, ids: Sequence[UUID], filter_: Filter, *, longest: int | None = None
) -> Deferred[dict[UUID, StoredMessage]]:
    """The same of those that pass a filter, and whose text is not longer than so many bytes."""
    params = filter_.params | {"tenant_id": tenant_id, "ids": list(ids), "longest": longest}
    return await tx.defer("search.found", params, _by_id, parts=filter_.parts)


async def passing(tx: Transaction, tenant_id: str, ids: Sequence[UUID], filter_: Filter) -> set[UUID]:
    """Those of some ids whose messages pass a filter."""
    params = filter_.params | {"tenant_id": tenant_id, "ids": list(ids)}
    return {row["id"] for row in await tx.all("search.passing", params, parts=filter_.parts)}


@dataclass(frozen=True, slots=True)
class Text:
    """What stands for a text, and whether it is the one that it was compared with."""

    digest: bytes
    is_the_same: bool


async def texts(tx: Transaction, tenant_id: str, ids: Sequence[UUID], compared: str) -> dict[UUID, Text]:
    """What stands for the texts of messages, by id; a SHA-256 each, to be compared with each other."""
    rows = await tx.all("search.texts", {"tenant_id": tenant_id, "ids": list(ids), "compared": compared})
    return {row["id"]: Text(bytes(row["digest"]), row["is_the_same"]) for row in rows}


async def passages(tx: Transaction, tenant_id: str, ids: Sequence[UUID], longest: int) -> dict[UUID, str]:
    """What messages say, after the name of who says it where there is one, by id; of their texts the first so many
    characters."""
    rows = await tx.all("search.passages", {"tenant_id": tenant_id, "ids": list(ids), "longest": longest})
    return {row["id"]: f"{row['name']}: {row['beginning']}" if row["name"] else row["beginning"] for row in rows}


async def neighbours(
    tx: Transaction, tenant_id: str, ids: Sequence[UUID], turns: int, as_of: datetime | None
) -> Deferred[dict[UUID, Neighbours]]:
    """The ``turns`` live messages before and after each of these, live or archived, in its conversation, by its id;
    those without any are missing."""
    given = {"tenant_id": tenant_id, "ids": list(ids), "turns": turns, "as_of": as_of}
    return await tx.defer("messages.neighbours", given, _around)


async def bytes_of_hits(
    tx: Transaction, tenant_id: str, ids: Sequence[UUID], turns: int, as_of: datetime | None
) -> int:
    """What these messages take in an answer, each with its neighbours; no row is read for it."""
    given = {"tenant_id": tenant_id, "ids": list(ids), "turns": turns, "as_of": as_of}
    row = await tx.one("messages.bytes_of_hits", given)
    assert row is not None, "an aggregate has a row"
    return int(row["bytes"])


async def tenants(tx: Transaction) -> list[str]:
    """Every tenant that has messages, live or archived, in byte order."""
    return [row["tenant_id"] for row in await tx.all("messages.tenants")]


def stored(rows: list[Row]) -> list[StoredMessage]:
    """Rows of {{messages.columns}}."""
    return [_stored(row) for row in rows]


def _by_id(rows: list[Row]) -> dict[UUID, StoredMessage]:
    return {row["id"]: _stored(row) for row in rows}


def _around(rows: list[Row]) -> dict[UUID, Neighbours]:
    found: dict[UUID, Neighbours] = {}
    for row in rows:
        followed, preceded = row.pop("followed") or (), row.pop("preceded") or ()
        turn = _stored(row)
        for given in followed:
            found.setdefault(given, ([], []))[0].append(turn)
        for given in preceded:
            found.setdefault(given, ([], []))[1].append(turn)
    return found


def _stored(row: Row) -> StoredMessage:
    return StoredMessage(**row)

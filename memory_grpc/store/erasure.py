"""Erasing messages from every table that holds something of them, and the digests that keep them from coming back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal
from uuid import UUID

from memory_grpc.store.database import Deferred, Transaction
from memory_grpc.store.queries import Parts
from memory_grpc.store.tenant_tables import TENANT_TABLES, TenantTable

Kind = Literal["message", "request"]

# The tables that hold something of a message, those that depend on others first.
OF_MESSAGES = tuple(table for table in reversed(TENANT_TABLES) if table.message_column is not None)


async def erase(tx: Transaction, tenant_id: str, ids: Sequence[UUID]) -> dict[str, int]:
    """Erases messages of one tenant from every table; how many rows of each are gone, by its name.

    What stays is a digest of each id and of each request id. To be called under ``models.lock_tenant_exclusive``: what
    adds vectors to messages takes its locks in another order.
    """
    params = {"tenant_id": tenant_id, "ids": list(ids)}
    await tx.all("erasure.lock", params)
    await tx.execute("erasure.note_messages", params)
    await tx.execute("erasure.note_requests", params)
    # What goes with its message by itself is counted before that goes: the tenant's role may not delete it.
    counts = {table.name: await _rows(tx, "erasure.count_rows", table, tenant_id, ids) for table in _going_along()}
    for table in OF_MESSAGES:
        if not table.cascades:
            counts[table.name] = await _rows(tx, "erasure.delete_rows", table, tenant_id, ids)
    return counts


async def erased_among(tx: Transaction, tenant_id: str, kind: Kind, ids: Iterable[UUID]) -> Deferred[set[UUID]]:
    """Which of some ids, of messages or of requests, are erased; not waited for."""
    params = {"tenant_id": tenant_id, "kind": kind, "ids": list(ids)}
    return await tx.defer("erasure.among", params, lambda rows: {row["id"] for row in rows})


def _going_along() -> list[TenantTable]:
    return [table for table in OF_MESSAGES if table.cascades]


async def _rows(tx: Transaction, query: str, table: TenantTable, tenant_id: str, ids: Sequence[UUID]) -> int:
    row = await tx.one(query, {"tenant_id": tenant_id, "ids": list(ids)}, parts=_parts(table))
    return int(row["rows"]) if row else 0


def _parts(table: TenantTable) -> Parts:
    return (("table", table.name), ("column", table.message_column or ""))

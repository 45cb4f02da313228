"""Erasing messages from every table that holds something of them, and the digests that keep them from coming back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal
from uuid import UUID

from psycopg import sql

from memory_grpc.store.database import Database, Deferred, Transaction
from memory_grpc.store.queries import QUERIES, Parts
from memory_grpc.store.tenant_tables import TENANT_TABLES, TenantTable

Kind = Literal["message", "request"]

# The tables that hold something of a message, those that depend on others first.
OF_MESSAGES = tuple(table for table in reversed(TENANT_TABLES) if table.message_column is not None)
# Plans name messages too; that they do is nothing that was said.
COUNTED = tuple(table for table in OF_MESSAGES if table.name != "erasure_items")


async def erase(tx: Transaction, tenant_id: str, ids: Sequence[UUID], erasure_id: UUID | None = None) -> dict[str, int]:
    """Erases messages of one tenant from every table; how many rows of each are gone, by its name.

    What stays is a digest of each id and of each request id, with the erasure that it was a part of. To be called under
    ``models.lock_tenant_exclusive``: what adds vectors to messages takes its locks in another order.
    """
    params = {"tenant_id": tenant_id, "ids": list(ids)}
    await tx.all("erasure.lock", params)
    await tx.execute("erasure.note_messages", params | {"erasure_id": erasure_id})
    await tx.execute("erasure.note_requests", params | {"erasure_id": erasure_id})
    # What goes with its message by itself is counted before that goes: the tenant's role may not delete it.
    counts = {table.name: await _rows(tx, "erasure.count_rows", table, tenant_id, ids) for table in _going_along()}
    for table in OF_MESSAGES:
        if not table.cascades:
            counts[table.name] = await _rows(tx, "erasure.delete_rows", table, tenant_id, ids)
    await tx.execute("erasure.notify")
    return {table.name: counts[table.name] for table in COUNTED}


async def erased_among(tx: Transaction, tenant_id: str, kind: Kind, ids: Iterable[UUID]) -> Deferred[set[UUID]]:
    """Which of some ids, of messages or of requests, are erased; not waited for."""
    params = {"tenant_id": tenant_id, "kind": kind, "ids": list(ids)}
    return await tx.defer("erasure.among", params, lambda rows: {row["id"] for row in rows})


async def vacuum(database: Database) -> None:
    """Takes what was deleted out of every table of messages, its indexes and the planner's samples. As the owner, and
    for as long as it takes. Of the digests that were added the planner has to know too: a verification joins them."""
    async with database.maintenance() as connection:
        for name in (*(table.name for table in OF_MESSAGES), "erased_messages"):
            await connection.execute(sql.SQL(QUERIES["erasure.vacuum"]).format(table=sql.Identifier(name)))


def parts(table: TenantTable) -> Parts:
    """What a statement about any table of messages needs of one."""
    return (("table", table.name), ("column", table.message_column or ""))


def _going_along() -> list[TenantTable]:
    return [table for table in OF_MESSAGES if table.cascades]


async def _rows(tx: Transaction, query: str, table: TenantTable, tenant_id: str, ids: Sequence[UUID]) -> int:
    row = await tx.one(query, {"tenant_id": tenant_id, "ids": list(ids)}, parts=parts(table))
    return int(row["rows"]) if row else 0

"""How Postgres would run a statement of the service."""

from __future__ import annotations

from memory_grpc.store.database import Params, Transaction
from memory_grpc.store.queries import Parts, text


async def explained(tx: Transaction, name: str, params: Params, parts: Parts = ()) -> str:
    """The plan of a query, a node a line."""
    statement = b"explain (costs off) " + text(name, parts).encode()
    cursor = await tx._connection.execute(statement, params, prepare=True)
    return "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())

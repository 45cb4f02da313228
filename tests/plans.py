"""How Postgres would run a statement of the service."""

from __future__ import annotations

import re

from memory_grpc.store.database import Params, Transaction
from memory_grpc.store.queries import Parts, text


async def explained(tx: Transaction, name: str, params: Params, parts: Parts = (), *, generic: bool = False) -> str:
    """The plan of a query, a node a line: for these values, or the ``generic`` one that is kept for any."""
    if generic:
        statement = f"explain (costs off, generic_plan) {numbered(text(name, parts))}"
        cursor = await tx._connection.execute(statement.encode())
    else:
        statement = f"explain (costs off) {text(name, parts)}"
        cursor = await tx._connection.execute(statement.encode(), params)
    return "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())


def numbered(query: str) -> str:
    """A query with `$1` for its first parameter, and so on, as Postgres has them."""
    numbers: dict[str, int] = {}
    return re.sub(r"%\((\w+)\)[bs]", lambda found: f"${numbers.setdefault(found[1], len(numbers) + 1)}", query)

"""What Postgres' planner knows of the tables.

It takes a value that it has not seen for one that is hardly there. After all rows of a tenant got another configuration
or model, searches by that would be planned for no rows, and time out, until autovacuum comes by.
"""

from __future__ import annotations

from psycopg import sql

from memory_grpc.store.database import Database
from memory_grpc.store.queries import QUERIES


async def sample(database: Database, table: str) -> None:
    """Samples a table's values anew, as its owner: about a second, however large it is. Raises StoreUnavailable."""
    async with database.maintenance() as connection:
        await connection.execute(sql.SQL(QUERIES["planner.sample"]).format(table=sql.Identifier(table)))

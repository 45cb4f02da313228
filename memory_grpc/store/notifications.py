"""LISTEN: hears what other servers say through Postgres."""

from __future__ import annotations

from collections.abc import Callable

import psycopg

from memory_grpc.store.errors import translated


async def listen(conninfo: str, heard: Callable[[], None]) -> None:
    """Calls ``heard`` at once, and whenever there are new embedding jobs; returns only by StoreUnavailable.

    On a connection of its own: one from the pool would be missing there for as long as the server runs.
    """
    with translated():
        async with await psycopg.AsyncConnection.connect(
            conninfo, autocommit=True, connect_timeout=5, application_name="memory-grpc listen"
        ) as connection:
            await connection.execute("listen embedding_jobs")
            heard()
            async for _ in connection.notifies():
                heard()

"""LISTEN: hears what other servers say through Postgres."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psycopg
from psycopg import sql

from memory_grpc.store.errors import translated


async def listen(conninfo: str, heard: Mapping[str, Callable[[], None]]) -> None:
    """Calls what is ``heard`` on each channel at once, and whenever somebody speaks there; returns only by
    StoreUnavailable.

    On a connection of its own: one from the pool would be missing there for as long as the server runs.
    """
    with translated():
        async with await psycopg.AsyncConnection.connect(
            conninfo, autocommit=True, connect_timeout=5, application_name="memory-grpc listen"
        ) as connection:
            for channel in heard:
                await connection.execute(sql.SQL("listen {}").format(sql.Identifier(channel)))
            for call in heard.values():
                call()
            async for notification in connection.notifies():
                heard[notification.channel]()

"""Whether a pooler stands before Postgres that gives each transaction another session: PgBouncer in transaction mode.

Settings, prepared statements, LISTEN and locks of a session are then anybody's. Calls can do without them; migrations,
what wakes the workers, and building indexes cannot, and need a connection to Postgres itself.
"""

from __future__ import annotations

from typing import Any

import psycopg

from memory_grpc.errors import StartupError
from memory_grpc.store.queries import QUERIES

CONNECT_TIMEOUT_SECONDS = 5
# A pooler that others use may give one connection the same session a few times over.
_TRIES = 5

Connection = psycopg.Connection[tuple[Any, ...]]


def connect(conninfo: str) -> Connection:
    """A connection as the start makes them: to look at a database, and to migrate it."""
    return psycopg.connect(
        conninfo,
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        client_encoding="UTF8",
        prepare_threshold=None,
    )


def refuse(connection: Connection, conninfo: str) -> None:
    """Raises StartupError unless this connection, made by ``conninfo``, is one session."""
    if _shares_sessions(connection, conninfo):
        raise StartupError(
            "A pooler in front of the database may run each transaction in another session, like PgBouncer in "
            "transaction mode: set MEMORY_DATABASE_DIRECT_URL to Postgres itself, for migrations, LISTEN and building "
            "indexes."
        )


def shares_sessions(conninfo: str) -> bool:
    """Whether transactions of one connection may run in different sessions. Raises StartupError when nobody answers."""
    try:
        with connect(conninfo) as connection:
            return _shares_sessions(connection, conninfo)
    except (psycopg.Error, UnicodeError) as error:
        raise StartupError(
            "The database cannot be reached: check MEMORY_DATABASE_URL and that the server it names is running."
        ) from error


def _shares_sessions(one: Connection, conninfo: str) -> bool:
    # Postgres names the process of the session when a connection is made, and a pooler does not know it yet.
    if one.info.backend_pid == _process(one):
        return False
    with connect(conninfo) as other:
        for _ in range(_TRIES):
            first = _process(one)
            with other.transaction():  # keeps its session, so that the other connection cannot get it meanwhile
                if _process(other) == first or _process(one) != first:
                    return True
    return False


def _process(connection: Connection) -> int:
    row = connection.execute(QUERIES["database.process"]).fetchone()
    assert row is not None, "a select without a from has a row"
    return int(row[0])

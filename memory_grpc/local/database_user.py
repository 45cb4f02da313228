"""The user that the server is to the embedded Postgres: it owns its database, and is no superuser.

What a superuser alone may do is done here, each time anew: the roles that the server works as, and the extension.
"""

from __future__ import annotations

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

NAME = "memory"
_ROLES = ("memory_layer_tenant", "memory_layer_worker")


def prepare(conninfo: str) -> str:
    """Makes the user, who then owns the database of ``conninfo``, a superuser's; returns the conninfo of the user."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        _ensure_role(connection, NAME, login=True)
        for role in _ROLES:
            _ensure_role(connection, role, login=False)
            connection.execute(
                sql.SQL("GRANT {} TO {} WITH INHERIT FALSE, SET TRUE").format(
                    sql.Identifier(role), sql.Identifier(NAME)
                )
            )
        connection.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                sql.Identifier(connection.info.dbname), sql.Identifier(NAME)
            )
        )
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    return make_conninfo(conninfo, user=NAME)


def _ensure_role(connection: psycopg.Connection[tuple[object, ...]], name: str, *, login: bool) -> None:
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None:
        connection.execute(
            sql.SQL("CREATE ROLE {} NOSUPERUSER {}").format(
                sql.Identifier(name), sql.SQL("LOGIN" if login else "NOLOGIN")
            )
        )

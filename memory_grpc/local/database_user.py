"""The user that the server is to the embedded Postgres: it owns its database, and is no superuser.

What a superuser alone may do is done here, each time anew: the roles that the server works as, and the extension.
"""

from __future__ import annotations

from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

NAME = "memory"
# Of the extension nothing.
_HAND_OVER: LiteralString = """
DO $$
DECLARE
    statement text;
BEGIN
    FOR statement IN
        SELECT format('ALTER TABLE %s OWNER TO {0}', c.oid::regclass)
        FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v')
            AND c.relowner = current_user::regrole
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO {0}', p.oid::regprocedure)
        FROM pg_proc p
        WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = current_user::regrole
            AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
    LOOP
        EXECUTE statement;
    END LOOP;
END
$$
"""
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
        _hand_over(connection)
    return make_conninfo(conninfo, user=NAME)


def _hand_over(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Gives the user what the superuser made before there was one: only an owner can migrate it."""
    connection.execute(sql.SQL(_HAND_OVER).format(sql.Identifier(NAME)))


def _ensure_role(connection: psycopg.Connection[tuple[object, ...]], name: str, *, login: bool) -> None:
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None:
        connection.execute(
            sql.SQL("CREATE ROLE {} NOSUPERUSER {}").format(
                sql.Identifier(name), sql.SQL("LOGIN" if login else "NOLOGIN")
            )
        )

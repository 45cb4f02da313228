"""What a database must be for the service to work on it, asked at the start and told in a sentence."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

from memory_grpc.errors import StartupError
from memory_grpc.store import roles
from memory_grpc.store.queries import QUERIES

# The first in which a role can be granted to be taken and not inherited.
LEAST_POSTGRES = 16
# The first that searches a graph on past what filters take away.
LEAST_PGVECTOR = (0, 8, 0)

_LEAST_PGVECTOR = ".".join(map(str, LEAST_PGVECTOR))


def check(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Raises StartupError when this database, migrated or not, is none for the service. Asked before the session is
    set to anything, of the schemas above all."""
    row = connection.execute(QUERIES["database.surroundings"]).fetchone()
    assert row is not None, "a select without a from has a row"
    refuse(*row)


def refuse(version: int, encoding: str, schema: str | None, pgvector: str | None) -> None:
    """Raises StartupError if something of this is not what the service needs; ``version`` as in 160004."""
    if version < LEAST_POSTGRES * 10_000:
        raise StartupError(
            f"Postgres is too old: it is version {version // 10_000}, and the service needs {LEAST_POSTGRES} or newer."
        )
    if encoding != "UTF8":
        raise StartupError(
            f"The database is encoded in {encoding}, which cannot store every text: create one with "
            "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and name it in MEMORY_DATABASE_URL."
        )
    if schema is None:
        raise StartupError(
            "The search_path of the user of MEMORY_DATABASE_URL names no schema that exists and can be used: create "
            "one, or set search_path for this user."
        )
    if pgvector is None:
        raise StartupError(f"This Postgres has no pgvector: install version {_LEAST_PGVECTOR} or newer.")
    if tuple(map(int, re.findall(r"\d+", pgvector)[:3])) < LEAST_PGVECTOR:
        raise StartupError(
            f"pgvector is {pgvector} in this database, and the service needs {_LEAST_PGVECTOR} or newer: "
            "install a newer version, and run ALTER EXTENSION vector UPDATE."
        )


def let_in(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Has the roles that transactions work as use pgvector's schema; StartupError when this user cannot see to that."""

    def kept_out() -> tuple[str, int] | None:
        return connection.execute(QUERIES["database.vector_schema"], {"roles": [roles.TENANT, roles.WORKER]}).fetchone()

    found = kept_out()
    if found is None or not found[1]:
        return
    with suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction):
        connection.execute(sql.SQL(QUERIES["database.let_in"]).format(schema=sql.Identifier(found[0])))
    found = kept_out()
    if found is not None and found[1]:
        raise StartupError(
            f"pgvector is in the schema {found[0]}, which the service's roles are not allowed to use: as an "
            f"administrator, run GRANT USAGE ON SCHEMA {_plain(found[0])} TO {roles.TENANT}, {roles.WORKER}; "
            "then start again."
        )


def _plain(name: str) -> str:
    """An identifier as people write it: quoted where it must be."""
    return name if re.fullmatch("[a-z_][a-z0-9_]*", name) else f'"{name}"'

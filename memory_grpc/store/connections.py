"""What every connection to Postgres is set to and knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from typing import Any, LiteralString

import psycopg
from pgvector import HalfVector
from pgvector.psycopg.halfvec import (
    HalfVectorBinaryDumper,
    HalfVectorBinaryLoader,
    HalfVectorDumper,
    HalfVectorLoader,
)
from psycopg.sql import quote
from psycopg.types import TypeInfo

from memory_grpc.store.queries import QUERIES, part, text

_OF_THE_USER = ("search_path", part("database.search_path"))
# For a session: roles, databases and the environment (PGOPTIONS) set what they like.
PINS = text("database.pin", (("local", "false"), _OF_THE_USER))
_CONFIGURE = text("database.configure", (("local", "false"),))


async def configure(connection: psycopg.AsyncConnection[Any]) -> None:
    """A new connection is set to what the service needs and knows pgvector's types; a database without the extension is
    not migrated yet."""
    await connection.execute(PINS)
    await _register_halfvec(connection)
    await connection.execute(_CONFIGURE)
    with suppress(psycopg.errors.InvalidParameterValue):
        await connection.execute(QUERIES["database.watch_client"])


def configure_shared(
    tell: Callable[[LiteralString], None],
) -> Callable[[psycopg.AsyncConnection[Any]], Awaitable[None]]:
    """The same where a connection has another session in each transaction: nothing is set for longer than that. What
    every transaction begins with then is told."""

    async def configure_one(connection: psycopg.AsyncConnection[Any]) -> None:
        connection.prepare_threshold = None
        async with connection.transaction():
            await connection.execute(text("database.pin", (("local", "true"), _OF_THE_USER)))
            await _register_halfvec(connection)
            row = await (await connection.execute(QUERIES["database.path"])).fetchone()
        path = ("search_path", quote(row["path"])) if row else _OF_THE_USER
        tell(f"{text('database.pin', (('local', 'true'), path))} {text('database.configure', (('local', 'true'),))}")

    return configure_one


async def _register_halfvec(connection: psycopg.AsyncConnection[Any]) -> None:
    """What pgvector's register_vector_async does, for the one type that is used, and with the same classes each time.

    That makes new classes for every connection, which psycopg remembers for good: 24 KB that a network that flaps, or a
    database that restarts, cost with each connection.
    """
    info = await TypeInfo.fetch(connection, "halfvec")
    if info is None:
        raise psycopg.ProgrammingError("halfvec type not found in the database")
    info.register(connection)
    for dumper in _halfvec_dumpers(info.oid):
        connection.adapters.register_dumper(HalfVector, dumper)
    for loader in (HalfVectorLoader, HalfVectorBinaryLoader):
        connection.adapters.register_loader(info.oid, loader)


@cache
def _halfvec_dumpers(oid: int) -> tuple[type[HalfVectorDumper], type[HalfVectorBinaryDumper]]:
    """The dumpers of halfvec in a database where it has this oid."""
    return (
        type("HalfVectorDumper", (HalfVectorDumper,), {"oid": oid}),
        type("HalfVectorBinaryDumper", (HalfVectorBinaryDumper,), {"oid": oid}),
    )

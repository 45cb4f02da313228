"""An open transaction, and the three verbs in which the service speaks to Postgres: execute, one, all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Generic, LiteralString, NamedTuple, TypeVar

import psycopg

from memory_grpc.observability import tracing
from memory_grpc.positions import UNKNOWN, Written
from memory_grpc.store.opening import Tenant
from memory_grpc.store.queries import QUERIES, Parts, looked_back, text

# Rows that are read at a time, of the longest texts and the most metadata in a few milliseconds; then twice as many
# each time, while that is quick.
_PORTION = 8
_HOLD_SECONDS = 0.005

Row = dict[str, Any]
Params = Mapping[str, Any]


class Statement(NamedTuple):
    """A query by its name, its parameters, and its parts."""

    query: str
    params: Params | None = None
    parts: Parts = ()


T = TypeVar("T")


class Deferred(Generic[T]):
    """What a statement will have given that was sent and not waited for."""

    def __init__(self, cursor: psycopg.AsyncCursor[Row], read: Callable[[list[Row]], T]) -> None:
        self._cursor = cursor
        self._read = read

    async def get(self) -> T:
        """Waits for it within the transaction; after its end it is there."""
        return self._read(await _rows(self._cursor))


class Transaction:
    """One open transaction. Its verbs take the name of a query in ``sql/queries`` and its parameters."""

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection
        self._looks_back_to: datetime | None = None
        self.is_of_copy = False
        """It reads a replica: what it finds may not be the last word."""
        self.rests_on_earlier = False
        """Its answer rests on what another transaction stored: whoever reads that has to see where it ended."""

    def look_back(self, moment: datetime) -> None:
        """From here on the tenant's messages, vectors and words are read as they were at a moment; for reading."""
        self._looks_back_to = moment

    def _sent(self, query: str, params: Params | None, parts: Parts = ()) -> tuple[LiteralString, Params | None]:
        """A query as it goes out, with its parameters."""
        if self._looks_back_to is None:
            return text(query, parts), params
        return looked_back(query, parts), {**(params or {}), "looked_back_to": self._looks_back_to}

    async def execute(self, query: str, params: Params | None = None, *, parts: Parts = ()) -> int:
        """Runs a query; returns the number of rows it touched."""
        with tracing.statement(query):
            return (await self._connection.execute(*self._sent(query, params, parts))).rowcount

    async def one(
        self,
        query: str,
        params: Params | None = None,
        *,
        binary: bool = False,
        parts: Parts = (),
    ) -> Row | None:
        """Runs a query; returns its first row, or None. ``binary`` has Postgres send values as it holds them, which
        suits long strings of bytes. ``parts`` stand for what is in braces in it: what differs from call to call and
        cannot be a parameter, and is put together from fixed texts."""
        with tracing.statement(query):
            return await (await self._connection.execute(*self._sent(query, params, parts), binary=binary)).fetchone()

    async def all(self, query: str, params: Params | None = None, *, parts: Parts = ()) -> list[Row]:
        """Runs a query; returns all its rows."""
        with tracing.statement(query):
            return await _rows(await self._connection.execute(*self._sent(query, params, parts)))

    async def defer(
        self, query: str, params: Params | None, read: Callable[[list[Row]], T], *, parts: Parts = ()
    ) -> Deferred[T]:
        """Sends a query of a pipelined transaction; what ``read`` makes of its rows comes in the round trip of the next
        that is waited for, or of the commit. To be asked for once."""
        with tracing.statement(query):
            return Deferred(await self._connection.execute(*self._sent(query, params, parts)), read)

    async def together(self, *statements: Statement) -> list[list[Row]]:
        """Runs queries that need no rows of each other, in order and in one round trip; returns all their rows, with
        values sent as Postgres holds them."""
        names = ", ".join(statement.query for statement in statements)
        with tracing.statement(names):
            async with self._connection.pipeline():
                sent = [
                    await self._connection.execute(*self._sent(query, params, parts), binary=True)
                    for query, params, parts in statements
                ]
                return [await _rows(cursor) for cursor in sent]


async def _rows(cursor: psycopg.AsyncCursor[Row]) -> list[Row]:
    """All rows, which are there; they are read in portions, between which the event loop serves others."""
    found: list[Row] = []
    size, began = _PORTION, time.perf_counter()
    while some := await cursor.fetchmany(size):
        found += some
        if len(some) < size:
            break
        size *= 2
        if time.perf_counter() - began > _HOLD_SECONDS:
            await asyncio.sleep(0)
            size, began = _PORTION, time.perf_counter()
    return found


class End:
    """Where a transaction ends that wrote for a tenant: replicas lack that until they have come there."""

    def __init__(self, tx: Transaction, tenant: Tenant, written: Written) -> None:
        self._tx = tx
        self._connection = tx._connection
        self._tenant = tenant
        self._written = written
        self._wrote: psycopg.AsyncCursor[Row] | None = None

    async def ask(self) -> None:
        """Before the commit: whether it wrote at all."""
        if isinstance(self._tenant, str):
            self._wrote = await self._connection.execute(QUERIES["database.wrote"])

    async def note(self) -> None:
        """After the commit, which stays, whatever becomes of the questions."""
        if self._wrote is None or not isinstance(self._tenant, str):
            return
        with suppress(psycopg.Error):
            answer = await self._wrote.fetchone()
            if answer is not None and not (answer["wrote"] or self._tx.rests_on_earlier):
                return
        self._written.note(self._tenant, UNKNOWN)
        with suppress(psycopg.Error):
            row = await (await self._connection.execute(QUERIES["database.written"])).fetchone()
            if row is not None:
                self._written.note(self._tenant, int(row["position"]))

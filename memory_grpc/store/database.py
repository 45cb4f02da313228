"""The connection pool, and the three verbs in which the service speaks to Postgres: execute, one, all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Generic, LiteralString, NamedTuple, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from memory_grpc import deadline
from memory_grpc.errors import StoreUnavailable
from memory_grpc.store.connection_turns import ConnectionTurns
from memory_grpc.store.connections import PINS, configure, configure_shared
from memory_grpc.store.errors import translated
from memory_grpc.store.opening import EVERY_TENANT as EVERY_TENANT
from memory_grpc.store.opening import Plan as Plan
from memory_grpc.store.opening import Tenant, opening
from memory_grpc.store.queries import QUERIES, Parts, looked_back, text

Row = dict[str, Any]
Params = Mapping[str, Any]


class Statement(NamedTuple):
    """A query by its name, its parameters, and its parts."""

    query: str
    params: Params | None = None
    parts: Parts = ()


# Statements that no call waits for (sweeps, embedding jobs) are bounded all the same.
BACKGROUND_TIMEOUT_SECONDS = 300.0

T = TypeVar("T")


class Deferred(Generic[T]):
    """What a statement will have given that was sent and not waited for."""

    def __init__(self, cursor: psycopg.AsyncCursor[Row], read: Callable[[list[Row]], T]) -> None:
        self._cursor = cursor
        self._read = read

    async def get(self) -> T:
        """Waits for it within the transaction; after its end it is there."""
        return self._read(await self._cursor.fetchall())


class Transaction:
    """One open transaction. Its verbs take the name of a query in ``sql/queries`` and its parameters."""

    def __init__(self, connection: psycopg.AsyncConnection[Row]) -> None:
        self._connection = connection
        self._looks_back_to: datetime | None = None

    def look_back(self, moment: datetime) -> None:
        """From here on the tenant's messages, vectors and words are read as they were at a moment; for reading."""
        self._looks_back_to = moment

    def _sent(self, query: str, params: Params | None, parts: Parts = ()) -> tuple[LiteralString, Params | None]:
        """A query as it goes out, with its parameters."""
        if self._looks_back_to is None:
            return text(query, parts), params
        return looked_back(query, parts), {**(params or {}), "looked_back_to": self._looks_back_to}

    async def execute(self, query: str, params: Params | None = None) -> int:
        """Runs a query; returns the number of rows it touched."""
        return (await self._connection.execute(*self._sent(query, params))).rowcount

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
        return await (await self._connection.execute(*self._sent(query, params, parts), binary=binary)).fetchone()

    async def all(self, query: str, params: Params | None = None, *, parts: Parts = ()) -> list[Row]:
        """Runs a query; returns all its rows."""
        return await (await self._connection.execute(*self._sent(query, params, parts))).fetchall()

    async def defer(
        self, query: str, params: Params | None, read: Callable[[list[Row]], T], *, parts: Parts = ()
    ) -> Deferred[T]:
        """Sends a query of a pipelined transaction; what ``read`` makes of its rows comes in the round trip of the next
        that is waited for, or of the commit. To be asked for once."""
        return Deferred(await self._connection.execute(*self._sent(query, params, parts)), read)

    async def together(self, *statements: Statement) -> list[list[Row]]:
        """Runs queries that need no rows of each other, in order and in one round trip; returns all their rows, with
        values sent as Postgres holds them."""
        async with self._connection.pipeline():
            sent = [
                await self._connection.execute(*self._sent(query, params, parts), binary=True)
                for query, params, parts in statements
            ]
            return [await cursor.fetchall() for cursor in sent]


class Database:
    """A pool of connections to one Postgres.

    Errors of every method: StoreUnavailable when no connection is to be had (at once when ``max_waiting`` calls wait
    already), DeadlineExceeded when the call's deadline passes, in Postgres too; with turns, DatabaseQueueFull.
    """

    def __init__(
        self,
        conninfo: str,
        *,
        min_size: int,
        max_size: int,
        max_waiting: int,
        timeout_seconds: float,
        direct: str | None = None,
        shared_sessions: bool = False,
        by_turns: bool = False,
    ) -> None:
        """``direct`` leads to Postgres itself where ``conninfo`` leads to a pooler; ``shared_sessions`` when that gives
        each transaction another session. ``by_turns`` has tenants take the connections in turns."""
        self._turns = ConnectionTurns(max_size, max_waiting) if by_turns else ConnectionTurns()
        self._direct = direct or conninfo
        self._timeout = timeout_seconds
        self._each_begins_with: LiteralString = ""
        self.pool: AsyncConnectionPool[psycopg.AsyncConnection[Row]] = AsyncConnectionPool(
            conninfo,
            connection_class=psycopg.AsyncConnection[Row],
            kwargs={"autocommit": True, "row_factory": dict_row, "application_name": "memory-grpc"},
            min_size=min(min_size, max_size),
            max_size=max_size,
            max_waiting=max_waiting,
            timeout=timeout_seconds,
            # A server that was down for a while is tried again soon after it is back.
            reconnect_timeout=10.0,
            max_idle=300.0,
            configure=configure_shared(self._begin_each_with) if shared_sessions else configure,
            open=False,
            name="memory-grpc",
        )

    async def open(self) -> None:
        """Opens the pool; connections are made in the background."""
        await self.pool.open(wait=False)

    async def close(self) -> None:
        """Closes every connection."""
        await self.pool.close()

    @asynccontextmanager
    async def transaction(
        self, *, tenant: Tenant, plan: Plan = "auto", pipelined: bool = False, at_one_moment: bool = False
    ) -> AsyncIterator[Transaction]:
        """One transaction: committed when the block ends, rolled back when it raises.

        ``tenant`` is the tenant it works for: row-level security hides all other rows from every statement in it, and
        refuses to write them. EVERY_TENANT is for what no tenant owns (queues, leases, sweeps, a message of which only
        the id is known): it reads all rows, and may write no message.

        ``plan="once"`` has Postgres plan each statement for any values and keep that plan. It is for storing arrays:
        one plan is best for all of them, and planning takes longer than storing a message. ``plan="each"`` has it plan
        each statement for its values. It is for what goes through a tenant's rows: a plan for any values is made for
        the average tenant, and reads one that is far above it from end to end. "auto" leaves it to Postgres.

        ``pipelined`` has ``execute`` and ``defer`` not wait for their statement: it goes out with the next that gives
        rows, or with the commit, and its error comes with those. ``execute`` knows no number of rows then.

        ``at_one_moment`` has every statement see the database as the first one does. It is for reading.

        What is left of the call's deadline becomes the statement_timeout, so that Postgres stops working for a caller
        who has gone even when the cancellation does not reach it.
        """
        with translated():
            async with self._turns.of(tenant, self._patience()):
                connection = await self._begin(tenant, plan, at_one_moment)
                try:
                    async with AsyncExitStack() as stack:
                        if pipelined:
                            await stack.enter_async_context(connection.pipeline())
                        yield Transaction(connection)
                        await connection.execute("commit")
                except BaseException:
                    if not connection.closed:
                        with suppress(psycopg.Error):  # the pool throws the connection away; the cause is what counts
                            await connection.rollback()
                    raise
                finally:
                    await self.pool.putconn(connection)

    def _patience(self) -> float:
        """How long a call waits for a connection, in seconds."""
        left = deadline.remaining()
        return self._timeout if left is None else min(self._timeout, left)

    async def _begin(self, tenant: Tenant, plan: Plan, at_one_moment: bool) -> psycopg.AsyncConnection[Row]:
        """A connection on which a transaction has begun, in one round trip.

        Connections that a restart of Postgres left dead in the pool are found here, before anything has been sent, and
        the next one is tried: the caller sees no error for them.
        """
        while True:
            connection = await self.pool.getconn(timeout=self._patience())
            try:
                left = deadline.remaining()
                timeout_ms = max(1, int((BACKGROUND_TIMEOUT_SECONDS if left is None else left) * 1000))
                await connection.execute(self._opening(tenant, timeout_ms, plan, at_one_moment))
            except BaseException as error:
                dead = connection.closed and isinstance(error, psycopg.OperationalError)
                await self.pool.putconn(connection)
                if not dead:
                    raise
            else:
                return connection

    def _begin_each_with(self, statements: LiteralString) -> None:
        self._each_begins_with = statements

    def _opening(self, tenant: Tenant, timeout_ms: int, plan: Plan, at_one_moment: bool = False) -> sql.Composed:
        """What opens a transaction."""
        return opening(tenant, timeout_ms, plan, at_one_moment=at_one_moment, then=self._each_begins_with)

    @asynccontextmanager
    async def maintenance(self) -> AsyncIterator[psycopg.AsyncConnection[Row]]:
        """A connection of one's own, as the owner of the tables, for what no transaction can hold and nobody waits for:
        building an index takes minutes, and one from the pool would be missing there for as long. It is the user of the
        DSN; unless that is a superuser, it sees no row of any tenant."""
        with translated():
            async with await psycopg.AsyncConnection.connect(
                self._direct,
                autocommit=True,
                connect_timeout=5,
                row_factory=dict_row,
                application_name="memory-grpc maintenance",
            ) as connection:
                await connection.execute(PINS)
                await connection.execute(QUERIES["database.be_patient"])
                yield connection

    async def ping(self) -> None:
        """Returns when Postgres has answered."""
        async with self.transaction(tenant=EVERY_TENANT) as tx:
            if await tx.one("database.ping") is None:
                raise StoreUnavailable

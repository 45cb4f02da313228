"""The connection pool, and its transactions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from memory_grpc import deadline
from memory_grpc.errors import StoreUnavailable
from memory_grpc.observability import tracing
from memory_grpc.positions import Written
from memory_grpc.store.connection_turns import ConnectionTurns, Share
from memory_grpc.store.connections import PINS, configure, configure_shared
from memory_grpc.store.errors import translated
from memory_grpc.store.interruption import Connection, to_its_end
from memory_grpc.store.opening import EVERY_TENANT as EVERY_TENANT
from memory_grpc.store.opening import Plan as Plan
from memory_grpc.store.opening import Tenant, opening
from memory_grpc.store.queries import QUERIES
from memory_grpc.store.transaction import Deferred as Deferred
from memory_grpc.store.transaction import End
from memory_grpc.store.transaction import Params as Params
from memory_grpc.store.transaction import Row as Row
from memory_grpc.store.transaction import Statement as Statement
from memory_grpc.store.transaction import Transaction as Transaction

# Statements that no call waits for (sweeps, embedding jobs) are bounded all the same.
BACKGROUND_TIMEOUT_SECONDS = 300.0


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
        written: Written | None = None,
        share: Share | None = None,
        is_replica: bool = False,
        distributed: bool = False,
    ) -> None:
        """``direct`` leads to Postgres itself where ``conninfo`` leads to a pooler; ``shared_sessions`` when that gives
        each transaction another session. ``written`` is told where transactions for tenants end, for replicas.
        With a ``share`` tenants take the connections in turns. ``distributed``: by Citus, which finds no shard by a
        plan for any values."""
        self._turns = ConnectionTurns(max_size, max_waiting, share) if share else ConnectionTurns()
        self._written = written
        self._is_replica = is_replica
        self._distributed = distributed
        self._direct = direct or conninfo
        self._timeout = timeout_seconds
        self._each_begins_with: LiteralString = ""
        self.pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            conninfo,
            connection_class=Connection,
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
        self,
        *,
        tenant: Tenant,
        plan: Plan = "auto",
        pipelined: bool = False,
        at_one_moment: bool = False,
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
        with translated(), tracing.span("transaction", plan=plan, pipelined=pipelined):
            async with self._turns.of(tenant, self._patience()):
                with tracing.statement("opening"):
                    connection = await self._begin(tenant, plan, at_one_moment)
                try:
                    async with AsyncExitStack() as stack:
                        if pipelined:
                            await stack.enter_async_context(connection.pipeline())
                        tx = Transaction(connection)
                        yield tx
                        end = End(tx, tenant, self._written) if self._written else None
                        if end:
                            await end.ask()
                        with tracing.statement("commit"):
                            await connection.execute("commit")
                    if end:
                        await end.note()
                except BaseException:
                    await to_its_end(self._give_back(connection))
                    raise
                await self.pool.putconn(connection)

    def _patience(self) -> float:
        """How long a call waits for a connection, in seconds."""
        left = deadline.remaining()
        return self._timeout if left is None else min(self._timeout, left)

    async def _give_back(self, connection: Connection) -> None:
        """After an error, with nothing of the transaction left."""
        if not connection.closed:
            with suppress(psycopg.Error):  # the pool throws the connection away; the cause is what counts
                await connection.rollback()
        await self.pool.putconn(connection)

    async def _begin(self, tenant: Tenant, plan: Plan, at_one_moment: bool) -> Connection:
        """A connection on which a transaction has begun, in one round trip.

        Connections that a restart of Postgres left dead in the pool are found here, before anything has been sent, and
        the next one is tried: the caller sees no error for them. Of a replica the first is enough: there are others.
        """
        while True:
            connection = await self.pool.getconn(timeout=self._patience())
            try:
                left = deadline.remaining()
                timeout_ms = max(1, int((BACKGROUND_TIMEOUT_SECONDS if left is None else left) * 1000))
                await connection.execute(self._opening(tenant, timeout_ms, plan, at_one_moment))
            except BaseException as error:
                dead = connection.closed and isinstance(error, psycopg.OperationalError)
                await to_its_end(self.pool.putconn(connection))
                if not dead or self._is_replica:
                    raise
            else:
                return connection

    def _begin_each_with(self, statements: LiteralString) -> None:
        self._each_begins_with = statements

    def _opening(self, tenant: Tenant, timeout_ms: int, plan: Plan, at_one_moment: bool = False) -> sql.Composed:
        """What opens a transaction."""
        plan = "auto" if self._distributed and plan == "once" else plan
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

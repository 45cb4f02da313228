"""Calls that end while their statement is at work: it ends as well, and its connection stays."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from typing import Any

import grpc
import psycopg
import pytest
import pytest_asyncio

from memory_grpc import deadline
from memory_grpc.errors import DeadlineExceeded, StoreUnavailable
from memory_grpc.store import interruption
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.interruption import Connection
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import Proxy
from tests.conftest import StartServer, pool
from tests.integration.test_ingest import eventually

Rows = Callable[..., list[tuple[Any, ...]]]
BACKENDS = "select pid from pg_stat_activity where application_name = 'memory-grpc' order by pid"
SLEEPING = "select query from pg_stat_activity where starts_with(query, 'select pg_sleep') and state = 'active'"


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A pool of one connection, so that it is missed."""
    async with pool(dsn, 1) as opened:
        yield opened


async def asleep(database: Database, seconds: float, *, pipelined: bool = False) -> None:
    """A call whose statement takes so long."""
    async with database.transaction(tenant=EVERY_TENANT, pipelined=pipelined) as tx:
        await tx._connection.execute(f"select pg_sleep({seconds})".encode())


async def working(call: Coroutine[None, None, None], rows: Rows) -> asyncio.Task[None]:
    """A call whose statement is at work by now."""
    task = asyncio.create_task(call)
    await eventually(lambda: rows(SLEEPING) != [])
    return task


async def ended(call: asyncio.Task[None], times: int = 1) -> float:
    """Ends a call so many times, a millisecond apart; how long it took."""
    started = time.monotonic()
    for _ in range(times):
        call.cancel()
        await asyncio.sleep(0.001)
    with pytest.raises(asyncio.CancelledError):
        await call
    return time.monotonic() - started


@pytest.mark.asyncio
@pytest.mark.parametrize("times", [1, 2, 20])
@pytest.mark.parametrize("pipelined", [False, True])
async def test_however_often_it_is_ended(database: Database, rows: Rows, times: int, pipelined: bool) -> None:
    await database.ping()
    before = rows(BACKENDS)
    assert await ended(await working(asleep(database, 30, pipelined=pipelined), rows), times) < 2
    assert rows(SLEEPING) == []
    await database.ping()
    assert rows(BACKENDS) == before


@pytest.mark.asyncio
async def test_a_cancellation_that_is_lost_is_sent_again(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.ping()
    before, lost, try_cancel = rows(BACKENDS), [1], Connection._try_cancel

    async def loses_the_first(connection: Connection, *, timeout: float) -> None:
        if lost:
            lost.pop()
        else:
            await try_cancel(connection, timeout=timeout)

    monkeypatch.setattr(Connection, "_try_cancel", loses_the_first)
    assert await ended(await working(asleep(database, 30), rows)) < 2
    assert not lost
    assert rows(SLEEPING) == []
    await database.ping()
    assert rows(BACKENDS) == before


@pytest.mark.asyncio
async def test_a_statement_that_is_nearly_done_is_not_cancelled(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interruption, "GRACE_SECONDS", 5.0)
    monkeypatch.setattr(Connection, "_try_cancel", None)
    await database.ping()
    before = rows(BACKENDS)
    await ended(await working(asleep(database, 1), rows), 2)
    await database.ping()
    assert rows(BACKENDS) == before


@pytest.mark.asyncio
async def test_a_postgres_that_says_nothing_more_is_left(dsn: str, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruption, "_PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(interruption, "_CANCEL_SECONDS", 0.1)
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    async with Proxy(unix_path=f"{parts['host']}/.s.PGSQL.{parts.get('port', 5432)}") as proxy:
        host, _, port = proxy.address.rpartition(":")
        through = psycopg.conninfo.make_conninfo(dsn, host=host, port=port)
        async with pool(through, 1) as database:
            await database.ping()
            before = rows(BACKENDS)
            call = await working(asleep(database, 30), rows)
            proxy.flow(False)
            assert await ended(call, 2) < 2
            proxy.flow(True)
            await database.ping()
            assert rows(BACKENDS) != before


@pytest.mark.asyncio
async def test_an_end_that_comes_while_an_error_is_dealt_with_is_not_lost(database: Database, rows: Rows) -> None:
    """Else a call that catches the error would go on."""
    await database.ping()
    before, raised = rows(BACKENDS), asyncio.Event()

    async def call() -> None:
        with suppress(psycopg.Error):
            async with database.transaction(tenant=EVERY_TENANT) as tx:
                try:
                    await tx._connection.execute("select 1 / 0")
                finally:
                    raised.set()

    task = asyncio.create_task(call())
    await raised.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.ping()
    assert rows(BACKENDS) == before


@pytest.mark.asyncio
@pytest.mark.parametrize(("seconds", "error"), [(0.1, DeadlineExceeded), (5, StoreUnavailable)])
async def test_who_had_too_little_time_to_wait_is_told_so(dsn: str, seconds: float, error: type[Exception]) -> None:
    """The database was not away: that would excuse calls which are late."""
    async with pool(dsn, 1, timeout_seconds=0.2) as database, database.transaction(tenant=EVERY_TENANT):
        with deadline.within(seconds), pytest.raises(error):
            await database.ping()


@pytest.mark.asyncio
async def test_short_deadlines_leave_the_connections(start_server: StartServer, rows: Rows) -> None:
    async with start_server(database_pool_min_size=4, database_pool_max_size=4) as server:
        search = pb.SearchMemoriesRequest(tenant_id="t", query="q", ranking="hybrid")
        await asyncio.gather(*(server.memory.SearchMemories(search, timeout=10) for _ in range(20)))
        before, codes = rows(BACKENDS), set()
        for number in range(200):
            try:
                await server.memory.SearchMemories(search, timeout=0.001 * (1 + number % 8))
            except grpc.aio.AioRpcError as error:
                codes.add(error.code())
        assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}
        await server.memory.SearchMemories(search, timeout=10)
        assert set(before) <= set(rows(BACKENDS)), "others may be opened meanwhile"

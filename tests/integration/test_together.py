"""Several statements in one round trip: what one of them does to the others, and to the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from memory_grpc.store import jobs
from memory_grpc.store.database import EVERY_TENANT, Database, Statement

PING = Statement("database.ping")


@pytest.mark.asyncio
async def test_rows_come_in_the_order_of_the_statements(database: Database) -> None:
    async with database.transaction(tenant="acme") as tx:
        assert await tx.together() == []
        pinged, statistics, now = await tx.together(
            PING,
            Statement("word_index.statistics", {"tenant_id": "acme", "config": "english"}),
            Statement("database.now"),
        )
    assert pinged == [{"ok": True}]
    assert statistics == []
    assert list(now[0]) == ["now"]


@pytest.mark.asyncio
async def test_an_error_of_one_ends_the_transaction_and_nothing_else(database: Database) -> None:
    asked = {"tenant_id": "acme", "index_name": "a"}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(tenant="acme") as tx:
            await tx.together(
                PING, Statement("reembedding.get", {"id": 1, "max_attempts": 1}), Statement("graphs.state", asked)
            )
    for _ in range(5):
        await database.ping()


@pytest.mark.asyncio
@pytest.mark.parametrize("pipelined", [False, True])
async def test_a_caller_who_goes_leaves_a_connection_that_works(database: Database, pipelined: bool) -> None:
    async with database.pool.connection() as blocker:
        await blocker.execute("begin; lock table messages in access exclusive mode")

        async def ask() -> None:
            async with database.transaction(tenant="acme", pipelined=pipelined) as tx:
                await tx.execute("database.ping")
                await tx.together(PING, Statement("graphs.count", {"tenant_id": "acme"}), PING)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ask(), 0.3)
        await blocker.execute("rollback")
    for _ in range(5):
        async with database.transaction(tenant=EVERY_TENANT) as tx:
            assert await tx.together(PING, PING) == [[{"ok": True}], [{"ok": True}]]


@pytest.mark.asyncio
async def test_what_did_not_wait_for_its_statement_hears_of_its_error_at_the_commit(database: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(tenant="acme", pipelined=True) as tx:
            await tx.execute("jobs.enqueue_many", {"tenant_id": "acme", "message_ids": [UUID(int=1)]})
            await tx.execute("reembedding.get", {"id": 1, "max_attempts": 1})
            await tx.execute("jobs.enqueue_many", {"tenant_id": "acme", "message_ids": [UUID(int=2)]})
    async with database.transaction(tenant=EVERY_TENANT) as tx:
        assert await jobs.depth(tx) == (0, 0.0)
    for _ in range(5):
        await database.ping()


@pytest.mark.asyncio
async def test_what_did_not_wait_is_committed_with_the_rest(database: Database) -> None:
    async with database.transaction(tenant="acme", pipelined=True) as tx:
        await tx.execute("jobs.enqueue_many", {"tenant_id": "acme", "message_ids": [UUID(int=1)]})
        assert await tx.one("database.ping") == {"ok": True}
        await tx.execute("jobs.enqueue_many", {"tenant_id": "acme", "message_ids": [UUID(int=2)]})
    async with database.transaction(tenant=EVERY_TENANT) as tx:
        assert (await jobs.depth(tx))[0] == 2


@pytest.mark.asyncio
async def test_an_error_of_the_block_takes_back_what_did_not_wait(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction(tenant="acme", pipelined=True) as tx:
            await tx.execute("jobs.enqueue_many", {"tenant_id": "acme", "message_ids": [UUID(int=1)]})
            raise ZeroDivisionError
    async with database.transaction(tenant=EVERY_TENANT) as tx:
        assert await jobs.depth(tx) == (0, 0.0)


@pytest.mark.asyncio
@pytest.mark.parametrize("pipelined", [False, True])
async def test_a_rollback_that_fails_does_not_hide_why(
    database: Database, rows: Callable[..., list[tuple[Any, ...]]], pipelined: bool
) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.transaction(tenant="acme", pipelined=pipelined) as tx:
            await tx.one("database.ping")
            rows("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'memory-grpc'")
            raise ZeroDivisionError
    for _ in range(5):
        await database.ping()


@pytest.mark.asyncio
@pytest.mark.parametrize("pipelined", [False, True])
async def test_what_was_sent_is_there_within_the_transaction_and_after_it(database: Database, pipelined: bool) -> None:
    async with database.transaction(tenant="acme", pipelined=pipelined) as tx:
        first = await tx.defer("database.ping", None, len)
        second = await tx.defer("database.ping", None, lambda rows: rows[0]["ok"])
        assert await first.get() == 1
        third = await tx.defer("graphs.count", {"tenant_id": "acme"}, len)
    assert await second.get() is True
    assert await third.get() == 1


@pytest.mark.asyncio
async def test_an_error_of_what_was_sent_comes_with_the_commit(database: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(tenant="acme", pipelined=True) as tx:
            await tx.defer("database.ping", None, len)
            await tx.defer("reembedding.get", {"id": 1, "max_attempts": 1}, len)
    for _ in range(5):
        await database.ping()

"""An index build that waits for a lock of another session's: it ends with the server and is taken up again, and a wait
that is lost is logged and tried again."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos import short_pauses
from tests.chaos.counting import locked
from tests.chaos.harness import Client, ServerProcess, connected, fetch, message, until

pytestmark = pytest.mark.asyncio

MESSAGES = 600
DRAIN_SECONDS = 5
# Each is waited for by the build of the index on this table, and by no call.
TABLES = ["message_embeddings", "message_lexemes"]
WAITS = """
select pid from pg_stat_activity
where datname = current_database() and application_name = 'memory-grpc maintenance'
    -- A build also waits for a moment for the transactions of calls: that is another kind of lock.
    and wait_event_type = 'Lock' and wait_event = 'relation' and query like '%create index concurrently%'
"""
BUILT = """
select (select count(*) from tenant_graphs where state = 'ready'), (select count(*) from tenant_word_statistics),
    (select count(*) from pg_index where not indisvalid)
"""


def _lock(table: str) -> str:
    """As maintenance of Postgres' own takes it: calls go on."""
    return f"lock table {table} in share update exclusive mode"


async def _large(client: Client) -> None:
    """A tenant that gets both indexes."""
    batch = [message(f"turn {number}") for number in range(MESSAGES)]
    await client.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch), timeout=60)


async def _waiting(dsn: str) -> int:
    found = await until(lambda: fetch(dsn, WAITS), 20, "the build waits for the lock")
    return int(found[0][0])


def _building(dsn: str, directory: Path) -> ServerProcess:
    server = ServerProcess(
        dsn, directory, GRAPH_THRESHOLD=MESSAGES // 2, GRAPH_CHECK_SECONDS=0.1, DRAIN_SECONDS=DRAIN_SECONDS
    )
    server.command = short_pauses.COMMAND
    return server


@pytest.mark.parametrize("table", TABLES)
async def test_a_build_that_waits_ends_with_the_server_and_is_taken_up_again(
    table: str, dsn: str, tmp_path: Path
) -> None:
    server = _building(dsn, tmp_path)
    try:
        await server.start()
        async with connected(server.address) as client:
            with locked(dsn, _lock(table)):
                await _large(client)
                await _waiting(dsn)
                began = time.monotonic()
                server.send(signal.SIGTERM)
                assert await server.ended() == 0
                assert time.monotonic() - began < DRAIN_SECONDS
                await until(lambda: not fetch(dsn, WAITS), 5, "nothing waits in Postgres any more")
            assert "loop_not_stopped" not in server.text and "Traceback" not in server.text
            assert fetch(dsn, BUILT)[0] != (1, 1, 0)
            await server.start()
            await until(lambda: fetch(dsn, BUILT) == [(1, 1, 0)], 20, "both indexes are built")
    finally:
        server.close()


@pytest.mark.parametrize("table", TABLES)
async def test_a_wait_that_is_lost_is_logged_and_tried_again(table: str, dsn: str, tmp_path: Path) -> None:
    server = _building(dsn, tmp_path)
    try:
        await server.start()
        async with connected(server.address) as client:
            with locked(dsn, _lock(table)):
                await _large(client)
                first = await _waiting(dsn)
                # What ends a deadlock, too: this statement fails, and its session lives.
                await asyncio.to_thread(fetch, dsn, "select pg_cancel_backend(%s)", first)
                await until(lambda: "item_failed" in server.text, 10, "it is logged")
                assert await until(lambda: {pid for (pid,) in fetch(dsn, WAITS)} - {first}, 10, "it is tried again")
                search = pb.SearchMemoriesRequest(tenant_id="chaos", query="turn")
                assert (await client.memory.SearchMemories(search, timeout=10)).total
            await until(lambda: fetch(dsn, BUILT) == [(1, 1, 0)], 20, "both indexes are built")
            assert "Traceback" not in server.text and "turn 1" not in server.text
    finally:
        server.close()

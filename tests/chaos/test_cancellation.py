"""A statement nobody waits for any more ends in Postgres too: looked up in pg_stat_activity."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import Client, connected, item, message, rounds, serving, until

pytestmark = pytest.mark.timeout(600)

# Far less than any timeout of the service (60 s a call here, 300 s in the background): none of those is what helps. A
# cancellation that comes before its statement is lost, and sent again; after 5 s more the connection is closed, which
# Postgres then sees.
SOON = 8.0
DEADLINE = 1.0
# What waits for the test's lock; pollings of the background do not.
WORKING = """
select query from pg_stat_activity
where datname = current_database() and application_name = 'memory-grpc'
    and (wait_event_type = 'Lock' or state like 'idle in transaction%')
"""
SEARCH = pb.SearchMemoriesRequest(tenant_id="chaos", query="before")
WAYS = ("its caller's deadline", "a cancelled call", "a closed connection")


class Looking:
    """What the service's connections do, looked up beside it."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection
        self._seen: list[str] = []
        self.case = ""

    async def working(self) -> list[str]:
        """The statements that are at work."""
        self._seen = [str(row[0]) async for row in await self._connection.execute(WORKING)]
        return self._seen

    async def idle(self) -> bool:
        """Whether there are none."""
        return not await self.working()

    def __str__(self) -> str:
        """For a complaint: what was seen last."""
        return "; ".join([self.case, *(" ".join(query.split())[:100] for query in self._seen)])


@pytest.mark.asyncio
async def test_7_a_statement_ends_with_its_call(dsn: str, tmp_path: Path) -> None:
    with item(7, "slow statements end in Postgres with their call") as result:
        async with (
            # Nothing in the background that would wait for the lock too: what is at work is the call's.
            serving(dsn, tmp_path, REQUEST_TIMEOUT_SECONDS=60, GRAPH_THRESHOLD=0) as server,
            await psycopg.AsyncConnection.connect(dsn) as beside,
            await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
        ):
            looking = Looking(connection)
            async with connected(server.address) as client:
                stored = await client.memory.IngestMessage(message("before"), timeout=20)
                await client.memory.SearchMemories(SEARCH, timeout=20)  # its vector is in the cache from now on
            get = pb.GetMessageRequest(message_id=stored.id, tenant_id="chaos")
            calls: dict[str, Callable[[Client, float], Any]] = {
                "ingest": lambda client, timeout: client.memory.IngestMessage(message("slow"), timeout=timeout),
                "search": lambda client, timeout: client.memory.SearchMemories(SEARCH, timeout=timeout),
                "get": lambda client, timeout: client.memory.GetMessage(get, timeout=timeout),
            }

            slowest = 0.0
            for _ in range(rounds("CANCEL", 1)):
                for way in WAYS:
                    for name, start in calls.items():
                        result.tried += 1
                        looking.case = f"{name}, {way}"
                        # A lock that reads wait for too: the statement is as slow as it likes to be.
                        await beside.execute("lock table messages, message_embeddings in access exclusive mode")
                        async with connected(server.address) as client:
                            call = start(client, DEADLINE if way == WAYS[0] else 60.0)
                            await until(looking.working, 10, f"{name} waits in Postgres")
                            if way == WAYS[0]:
                                with pytest.raises(grpc.aio.AioRpcError) as error:
                                    await call
                                assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                            elif way == WAYS[1]:
                                call.cancel()
                            else:
                                await client.channel.close()
                            gone = time.monotonic()
                            await until(looking.idle, SOON, looking)
                            slowest = max(slowest, time.monotonic() - gone)
                        await beside.commit()
                        result.held += 1
            async with connected(server.address) as client:
                assert (await client.memory.IngestMessage(message("well"), timeout=20)).id
            result.note = f"gone from pg_stat_activity after {slowest * 1000:.0f} ms at most"
            slow = await (await connection.execute("select count(*) from messages where content = 'slow'")).fetchone()
            assert slow == (0,), "what was cancelled is not stored"


@pytest.mark.asyncio
async def test_7_a_statement_ends_with_a_killed_server(dsn: str, tmp_path: Path) -> None:
    """Nobody is left to cancel it: Postgres notices by itself."""
    with item(7, "slow statements end in Postgres with a killed server") as result:
        result.tried = 1
        async with (
            serving(dsn, tmp_path, REQUEST_TIMEOUT_SECONDS=60, GRAPH_THRESHOLD=0) as server,
            connected(server.address) as client,
            await psycopg.AsyncConnection.connect(dsn) as beside,
            await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection,
        ):
            looking = Looking(connection)
            await beside.execute("lock table messages in access exclusive mode")
            call = asyncio.ensure_future(client.memory.IngestMessage(message("slow"), timeout=60))
            await until(looking.working, 10, "it waits in Postgres")
            await server.kill()
            gone = time.monotonic()
            with pytest.raises(grpc.aio.AioRpcError):
                await call
            await until(looking.idle, SOON, "it still works in Postgres")
            result.note = f"gone from pg_stat_activity after {time.monotonic() - gone:.1f} s"
        result.held = 1

"""A statement nobody waits for any more ends in Postgres too: looked up in pg_stat_activity."""

from __future__ import annotations

import time
from pathlib import Path

import grpc
import psycopg
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import connected, item, message, rounds, serving, until

pytestmark = pytest.mark.timeout(600)

# Far less than any timeout of the service (15 s a call, 300 s in the background), so that none of those is what helps.
SOON = 3.0
ACTIVE = """
select count(*) from pg_stat_activity
where datname = current_database() and application_name = 'memory-grpc' and pid <> pg_backend_pid()
    and (state = 'active' or state like 'idle in transaction%')
"""
CALLS = ("ingest", "search", "get")


@pytest.mark.asyncio
@pytest.mark.parametrize("how", ["deadline", "client gone", "connection gone"])
async def test_7_a_statement_ends_with_its_call(how: str, dsn: str, tmp_path: Path) -> None:
    with item(7, f"slow statements end in Postgres: {how}") as result:
        async with (
            serving(dsn, tmp_path, REQUEST_TIMEOUT_SECONDS=60) as server,
            await psycopg.AsyncConnection.connect(dsn) as beside,
            await psycopg.AsyncConnection.connect(dsn, autocommit=True) as looking,
        ):
            async with connected(server.address) as client:
                stored = await client.memory.IngestMessage(message("before"), timeout=10)
                await client.memory.SearchMemories(_search(), timeout=10)

            async def stuck() -> int:
                row = await (await looking.execute(ACTIVE)).fetchone()
                assert row is not None
                return int(row[0])

            slowest = 0.0
            for _ in range(rounds("CANCEL", 1)):
                for name in CALLS:
                    result.tried += 1
                    # Stronger than any statement of the service bears: reads wait for it too.
                    await beside.execute("lock table messages, message_embeddings in access exclusive mode")
                    async with connected(server.address) as client:
                        timeout = 1.0 if how == "deadline" else 60.0
                        call = {
                            "ingest": lambda c=client, t=timeout: c.memory.IngestMessage(message("slow"), timeout=t),
                            "search": lambda c=client, t=timeout: c.memory.SearchMemories(_search(), timeout=t),
                            "get": lambda c=client, t=timeout: c.memory.GetMessage(
                                pb.GetMessageRequest(message_id=stored.id, tenant_id="chaos"), timeout=t
                            ),
                        }[name]()
                        await until(stuck, 10, f"{name} waits in Postgres")
                        if how == "deadline":
                            with pytest.raises(grpc.aio.AioRpcError) as error:
                                await call
                            assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                        elif how == "client gone":
                            call.cancel()
                        else:
                            await client.channel.close()
                        gone = time.monotonic()

                        async def ended() -> bool:
                            return await stuck() == 0

                        await until(ended, SOON, f"{name} still runs in Postgres after {how}")
                        slowest = max(slowest, time.monotonic() - gone)
                    await beside.commit()
                    async with connected(server.address) as client:
                        assert (await client.memory.IngestMessage(message("well"), timeout=10)).id
                    result.held += 1
            result.note = f"gone from pg_stat_activity after {slowest * 1000:.0f} ms at most"
            rows = await (await looking.execute("select count(*) from messages where content = 'slow'")).fetchone()
            assert rows == (0,), "what was cancelled is not stored"


def _search() -> pb.SearchMemoriesRequest:
    return pb.SearchMemoriesRequest(tenant_id="chaos", query="before")

"""Connections are apart by what must not wait for what: calls, jobs with administration, and heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from memory_grpc.embedding import Embedder
from memory_grpc.jobs import pending
from memory_grpc.store.database import Database
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import embedding_service_pb2, index_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningServer, StartServer
from tests.integration.test_reembed import reaches

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]


def message(content: str, tenant: str = "acme", **fields: Any) -> pb.IngestMessageRequest:
    return pb.IngestMessageRequest(tenant_id=tenant, conversation_id="c", role="user", content=content, **fields)


@asynccontextmanager
async def all_held(database: Database) -> AsyncIterator[None]:
    """Every connection of a pool is somebody's for as long as the block lasts."""
    held = [await database.pool.getconn() for _ in range(database.pool.max_size)]
    try:
        yield
    finally:
        for connection in held:
            await database.pool.putconn(connection)


async def ready(server: RunningServer) -> admin.Reembedding:
    await server.embedding.StartReembedding(embedding_service_pb2.StartReembeddingRequest())
    return await reaches(server, "ready")


async def test_jobs_and_administration_go_on_while_calls_hold_every_connection(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server(
        embedding_next_dimensions=96, database_pool_max_size=3, retention_schedule_seconds=0.2, async_embeddings=True
    ) as server:
        await server.memory.IngestMessage(message("hello"))
        work = await ready(server)
        await server.memory.IngestMessage(message("old"))
        async with all_held(server.database):
            rows("update messages set created_at = now() - interval '40 days' where content = 'old'")
            rows("insert into reembedding_backlog (tenant_id, message_id) select tenant_id, id from messages")
            request = admin.RunRetentionRequest(tenant_id="acme", actions=["archive"], dry_run=True)
            await server.admin.RunRetention(request)
            await server.index.ListGraphs(index_service_pb2.ListGraphsRequest())
            cut = await server.embedding.CutOverReembedding(
                embedding_service_pb2.CutOverReembeddingRequest(reembedding_id=work.id)
            )
            assert cut.state in ("cut_over", "done")
            await reaches(server, "done")
            async with asyncio.timeout(20):
                while rows("select count(*) from messages where archived_at is null") != [(1,)] or rows(
                    "select * from embedding_jobs"
                ):
                    await asyncio.sleep(0.05)


async def test_leases_are_renewed_while_jobs_hold_every_connection(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed, begun, go = Embedder.embed_messages, asyncio.Event(), asyncio.Event()

    async def held(self: Embedder, texts: Sequence[str], **options: Any) -> Any:
        begun.set()
        await go.wait()
        return await embed(self, texts, **options)

    monkeypatch.setattr(Embedder, "embed_messages", held)
    monkeypatch.setattr(pending.EmbedPending.__init__, "__defaults__", (2.0,))
    async with start_server(async_embeddings=True, database_background_pool_size=3) as server:
        await server.memory.IngestMessage(message("hello"))
        await begun.wait()
        async with all_held(server.application.operations.reembeddings._database):
            ((first,),) = rows("select run_at from embedding_jobs")
            async with asyncio.timeout(20):
                while rows("select run_at < %s::timestamptz + interval '3 seconds' from embedding_jobs", first) == [
                    (True,)
                ]:
                    await asyncio.sleep(0.05)
        assert rows("select attempts from embedding_jobs") == [(1,)]
        go.set()
        async with asyncio.timeout(20):
            while rows("select embedding_status from messages") != [("completed",)]:
                await asyncio.sleep(0.05)


@pytest.mark.parametrize(("connections", "tenants"), [(3, 12), (10, 100)])
async def test_writers_of_many_tenants_do_not_keep_a_cut_over_from_its_turn(
    start_server: StartServer, rows: Rows, connections: int, tenants: int
) -> None:
    """They hold every connection for calls while they wait for it, and leave it messages of them all."""
    async with start_server(embedding_next_dimensions=96, database_pool_max_size=connections) as server:
        await server.memory.IngestMessage(message("hello"))
        work = await ready(server)
        stopping = asyncio.Event()

        async def write(tenant: str) -> int:
            count = 0
            while not stopping.is_set():
                await server.memory.IngestMessage(message(f"number {count}", tenant))
                count += 1
            return count

        async with asyncio.TaskGroup() as group:
            writers = [group.create_task(write(f"tenant {n}")) for n in range(tenants)]
            async with asyncio.timeout(30):
                while rows("select count(distinct tenant_id) from messages") != [(tenants + 1,)]:
                    await asyncio.sleep(0.05)
            cut = await server.embedding.CutOverReembedding(
                embedding_service_pb2.CutOverReembeddingRequest(reembedding_id=work.id)
            )
            assert cut.state in ("cut_over", "done")
            stopping.set()
        await reaches(server, "done")
        assert rows("select count(*) from messages") == [(1 + sum(writer.result() for writer in writers),)]
        assert rows("select distinct vector_dims(embedding) from message_embeddings") == [(96,)]

"""Reads on streaming replicas: what was written is seen at once, whatever a replica lacks, and whichever dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from pydantic import SecretStr

from memory_grpc.client import AsyncMemoryClient, types
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import transfer_service_pb2 as transfer
from tests.conftest import RunningServer, StartServer
from tests.scale.nodes import Node, either
from tests.scale.reading import TENANT, found, is_up, reads, stored, until

pytestmark = pytest.mark.asyncio


async def test_reads_go_to_the_replica_and_none_comes_before_its_own_write(
    nodes: tuple[Node, Node], server: RunningServer
) -> None:
    _, replica = nodes
    await stored(server, "known to both")
    before = reads("replica-1")
    async with asyncio.timeout(20):
        while reads("replica-1") < before + 3:
            assert await found(server, "known to both")
    replica.pause()
    try:
        for number in range(5):
            id_, _ = await stored(server, f"new number {number}")
            assert await found(server, f"new number {number}")
            assert (await server.memory.GetMessage(pb.GetMessageRequest(message_id=id_, tenant_id=TENANT))).id == id_
    finally:
        replica.run("select pg_wal_replay_resume()")
    before = reads("replica-1")
    async with asyncio.timeout(20):
        while reads("replica-1") < before + 3:
            assert await found(server, "new number 4")


async def test_what_another_server_wrote_is_seen_by_its_position(
    nodes: tuple[Node, Node], settings: dict[str, Any], server: RunningServer, start_server: StartServer
) -> None:
    primary, replica = nodes
    async with start_server(primary.dsn, **settings) as other:
        await until(is_up)
        replica.pause()
        try:
            _, position = await stored(other, "by the other")
            assert not await found(server, "by the other")
            assert await found(server, "by the other", ("x-min-lsn", position))
        finally:
            replica.run("select pg_wal_replay_resume()")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await found(server, "by the other", ("x-min-lsn", "yesterday"))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert "yesterday" not in str(refused.value.details())


async def test_a_repeated_message_is_seen_by_whoever_sent_it_again(
    nodes: tuple[Node, Node], settings: dict[str, Any], server: RunningServer, start_server: StartServer
) -> None:
    """The first answer was lost with its server; the second server stored nothing, and yet its answer is to be read."""
    primary, replica = nodes
    request = pb.IngestMessageRequest(
        tenant_id=TENANT, conversation_id="c", role="user", content="said twice", request_id=str(uuid4())
    )
    async with start_server(primary.dsn, **settings) as other:
        replica.pause()
        try:
            await other.memory.IngestMessage(request)
            assert not await found(server, "said twice")
            call = server.memory.IngestMessage(request)
            await call
            assert "x-lsn" in dict(await call.initial_metadata())
            assert await found(server, "said twice")
        finally:
            replica.run("select pg_wal_replay_resume()")


async def test_a_replica_that_stopped_replaying_gets_no_reads(
    nodes: tuple[Node, Node], settings: dict[str, Any], start_server: StartServer
) -> None:
    primary, replica = nodes
    said = "for the one that lags"
    async with start_server(primary.dsn, **settings, database_read_max_lag_seconds=0.5) as server:
        await until(is_up)
        replica.pause()
        try:
            async with start_server(primary.dsn) as other:
                await other.memory.IngestMessage(
                    pb.IngestMessageRequest(tenant_id=TENANT, conversation_id="c", role="user", content=said)
                )
            async with asyncio.timeout(20):
                request = pb.SearchMemoriesRequest(tenant_id=TENANT, query=said, top_k=1)
                while (await server.memory.SearchMemories(request)).items[0].content != said:
                    await asyncio.sleep(0.05)
            assert await found(server, said)
        finally:
            replica.run("select pg_wal_replay_resume()")


async def test_a_client_asks_for_what_it_has_written(nodes: tuple[Node, Node], server: RunningServer) -> None:
    async with AsyncMemoryClient(server.grpc_address, tenant_id=TENANT) as client:
        assert client._key_and_position() == ()
        await client.remember("by the client", conversation_id="c")
        ((name, first),) = client._key_and_position()
        assert name == "x-min-lsn"
        async for _ in client.stream_ingest(_one("streamed by the client")):
            pass
        ((_, second),) = client._key_and_position()
        assert second != first


async def _one(content: str) -> AsyncIterator[types.IngestMessageRequest]:
    yield types.IngestMessageRequest(conversation_id="c", role="user", content=content)


async def test_a_replica_that_is_killed_is_left_out_and_comes_back(
    nodes: tuple[Node, Node], server: RunningServer
) -> None:
    _, replica = nodes
    await stored(server, "outlives a replica")
    slowest = 0.0
    replica.kill()
    try:
        for _ in range(20):
            started = time.monotonic()
            assert await found(server, "outlives a replica")
            slowest = max(slowest, time.monotonic() - started)
        assert (
            slowest < 4
        )  # three calls, on a machine that may be busy; one that waits for the dead would take 5 s each
        assert not is_up()
    finally:
        replica.start()
    await until(is_up)
    before = reads("replica-1")
    async with asyncio.timeout(20):
        while reads("replica-1") < before + 3:
            assert await found(server, "outlives a replica")


async def test_reads_that_a_replica_cannot_finish_are_done_on_the_primary(
    nodes: tuple[Node, Node], server: RunningServer
) -> None:
    _, replica = nodes
    await stored(server, "read again")
    broken = """
        select count(pg_terminate_backend(pid)) from pg_stat_activity
        where application_name = 'memory-grpc' and state <> 'idle'
    """
    stop = asyncio.Event()

    async def reader() -> None:
        while not stop.is_set():
            assert await found(server, "read again")

    async def exporter() -> None:
        while not stop.is_set():
            request = transfer.ExportRequest(tenant_id=TENANT)
            assert [one async for one in server.transfer.Export(request)]

    readers = [asyncio.create_task(task()) for task in (reader, reader, reader, exporter, exporter)]
    try:
        ended = 0
        async with asyncio.timeout(60):
            while ended < 10 and not any(reading.done() for reading in readers):
                ended += (await asyncio.to_thread(replica.run, broken))[0][0]
    finally:
        stop.set()
        await asyncio.gather(*readers)
    await until(is_up)


async def test_a_promotion_under_load_loses_nothing_acknowledged(tmp_path: Path, start_server: StartServer) -> None:
    """The primary waits for its replica (synchronous_standby_names) and dies; the replica takes its place."""
    primary = Node(tmp_path / "primary").start()
    replica = primary.replica(tmp_path / "replica", "second").start()
    primary.run("alter system set synchronous_standby_names = 'second'")
    primary.run("select pg_reload_conf()")
    kept: list[str] = []
    stop = asyncio.Event()

    async def writer(server: RunningServer, name: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            said = f"{name}-{number}"
            request = pb.IngestMessageRequest(
                tenant_id=TENANT, conversation_id="c", role="user", content=said, request_id=str(uuid4())
            )
            try:
                kept.append((await server.memory.IngestMessage(request, timeout=5)).id)
            except grpc.aio.AioRpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
                await asyncio.sleep(0.05)

    try:
        both = either(primary, replica)
        settings = {"database_read_urls": [SecretStr(replica.dsn)], "request_timeout_seconds": 5.0}
        async with start_server(both, **settings) as server:
            writers = [asyncio.create_task(writer(server, name)) for name in range(4)]
            await until(lambda: len(kept) > 50)
            primary.kill()
            before = len(kept)
            replica.run("select pg_promote()")
            await until(lambda: len(kept) > before + 50, 60)
            stop.set()
            await asyncio.gather(*writers)
            there = {str(id_) for (id_,) in replica.run("select id from messages")}
            assert set(kept) <= there
            message = await server.memory.GetMessage(pb.GetMessageRequest(message_id=kept[-1], tenant_id=TENANT))
            assert message.id == kept[-1]
    finally:
        stop.set()
        replica.stop()
        primary.stop()

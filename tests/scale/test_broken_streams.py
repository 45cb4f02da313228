"""What a stream acknowledged is read at once, on whichever server, also when the stream has not ended well."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from memory_grpc.client import AsyncMemoryClient, InvalidArgument, Retry, types
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningServer, StartServer
from tests.scale.nodes import Node
from tests.scale.reading import TENANT, found, is_up, until

pytestmark = pytest.mark.asyncio


def _one(content: str) -> types.IngestMessageRequest:
    return types.IngestMessageRequest(conversation_id="c", role="user", content=content)


async def test_an_error_says_how_far_a_stream_had_come(
    nodes: tuple[Node, Node], settings: dict[str, Any], server: RunningServer, start_server: StartServer
) -> None:
    primary, replica = nodes
    said = pb.IngestMessageRequest(tenant_id=TENANT, conversation_id="c", role="user", content="before the error")
    async with start_server(primary.dsn, **settings) as other:
        await until(is_up)
        replica.pause()
        try:
            call = other.memory.StreamIngest()
            await call.write(pb.StreamIngestRequest(message=said))
            await call.read()
            await call.write(pb.StreamIngestRequest(message=pb.IngestMessageRequest()))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call.read()
            assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert not await found(server, said.content)
            position = str(dict(refused.value.trailing_metadata())["x-lsn"])
            assert await found(server, said.content, ("x-min-lsn", position))
        finally:
            replica.run("select pg_wal_replay_resume()")


@pytest.mark.parametrize("ends", ["not yet", "by an error", "by the reader", "by the server"])
async def test_a_client_reads_what_its_stream_acknowledged(
    ends: str, nodes: tuple[Node, Node], settings: dict[str, Any], server: RunningServer, start_server: StartServer
) -> None:
    primary, replica = nodes
    content = f"ends {ends}"

    async def sent() -> AsyncIterator[types.IngestMessageRequest]:
        yield _one(content)
        if ends == "by an error":
            yield _one("")
        await asyncio.Event().wait()

    async with start_server(primary.dsn, **settings, drain_seconds=0.0) as other:
        await until(is_up)
        client = AsyncMemoryClient(other.grpc_address, tenant_id=TENANT, retry=Retry(attempts=1))
        replica.pause()
        try:
            answers = client.stream_ingest(sent())
            await anext(answers)
            if ends == "by an error":
                with pytest.raises(InvalidArgument):
                    await anext(answers)
            elif ends == "by the reader":
                await answers.aclose()
            elif ends == "by the server":
                await other.application.server.drain()
            assert not await found(server, content)
            assert await found(server, content, *client._key_and_position())
            if ends != "by the server":
                await client.remember("written later", conversation_id="c")
                ((_, position),) = client._key_and_position()
                assert position != "FFFFFFFF/FFFFFFFF"
                assert await found(server, "written later", ("x-min-lsn", position))
        finally:
            replica.run("select pg_wal_replay_resume()")
            await client.close()

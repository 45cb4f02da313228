"""What one client holds open at the edge: watches, uploads without an end. Others, and its own calls, go on."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import memory_service_pb2_grpc as pb_grpc
from tests.chaos.edge import Edge, edge, exchange, status
from tests.chaos.harness import item

pytestmark = pytest.mark.timeout(300)

KEY = "the-key-of-those-who-have-one"
SEARCH = "/v1/memory/search?tenant_id=acme&query=hello"
POST = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
LARGEST = 4_194_304
WATCHES, UPLOADS = 1_040, 140
ANOTHER_ADDRESS = "127.0.0.2"


async def searched(running: Edge, address: str | None = None) -> int:
    """The status of a search with a key, from another address if one is given."""
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(transport=transport, base_url=running.url, timeout=10) as http:
        return (await http.get(SEARCH, headers={"x-api-key": KEY})).status_code


@pytest.mark.asyncio
async def test_16_watches_without_end_take_nobodys_place(dsn: str, tmp_path: Path) -> None:
    with item(16, f"{WATCHES} watches of one client") as result:
        result.tried = 1
        async with edge(dsn, tmp_path, API_KEYS=KEY) as running:
            channels = [channel_of(running) for _ in range(WATCHES // 80)]
            watches = [
                health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
                for channel in channels
                for _ in range(80)
            ]
            outcomes = Counter(await asyncio.gather(*map(first_answer, watches)))
            assert set(outcomes) == {"open", "RESOURCE_EXHAUSTED"}
            assert 32 <= outcomes["open"] <= 64, "as many as one address may have"
            assert await searched(running) == 200
            assert await searched(running, ANOTHER_ADDRESS) == 200
            probe = health_pb2_grpc.HealthStub(channels[0])
            assert (await probe.Check(health_pb2.HealthCheckRequest(), timeout=5)).status == 1, "probes need no watch"
            assert (await running.http.get("/v1/admin/health")).status_code == 200
            for watch in watches:
                watch.cancel()
            for channel in channels:
                await channel.close()
            result.note = str(dict(outcomes))
        result.held = 1


def channel_of(running: Edge) -> grpc.aio.Channel:
    """A channel with a connection of its own."""
    return grpc.aio.insecure_channel(
        f"127.0.0.1:{running.port}", options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    )


async def first_answer(watch: grpc.aio.UnaryStreamCall) -> str:
    try:
        return "open" if await asyncio.wait_for(watch.read(), 30) else "ended"
    except grpc.aio.AioRpcError as error:
        return error.code().name


async def hold(port: int, key: str | None) -> tuple[str, asyncio.StreamWriter]:
    """Uploads all of the largest body but its last byte; the status that came instead of waiting, or «held»."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"{POST}content-length: {LARGEST}\r\n"
    writer.write((head + (f"x-api-key: {key}\r\n" if key else "") + "\r\n").encode())
    answer = asyncio.ensure_future(reader.read(100))
    try:
        for _ in range(63):
            writer.write(b"x" * 65_536)
            await writer.drain()
            if answer.done():
                break
        else:
            writer.write(b"x" * 65_535)
            await writer.drain()
        done, _ = await asyncio.wait([answer], timeout=1)
        return (answer.result().split(b" ")[1].decode() if done else "held"), writer
    except ConnectionError:
        return (answer.result().split(b" ")[1].decode() if answer.done() and not answer.exception() else "cut"), writer
    finally:
        answer.cancel()


@pytest.mark.asyncio
@pytest.mark.parametrize("key", [None, "nobodys-key-but-long-enough"])
async def test_16_uploads_without_end_take_nobodys_memory(dsn: str, tmp_path: Path, key: str | None) -> None:
    """Without a key none of the body is collected; with one that is nobody's no more than one address may hold."""
    with item(16, f"{UPLOADS} uploads of one client, {'with' if key else 'without'} a key") as result:
        result.tried = 1
        async with edge(dsn, tmp_path, API_KEYS=KEY) as running:
            writers, outcomes = [], Counter[str]()
            for _ in range(UPLOADS // 20):
                for outcome, writer in await asyncio.gather(*(hold(running.port, key) for _ in range(20))):
                    outcomes[outcome] += 1
                    writers.append(writer)
                assert await searched(running) == 200
                assert await searched(running, ANOTHER_ADDRESS) == 200
            if key is None:
                assert set(outcomes) <= {"401", "cut"}, outcomes
            else:
                assert 16 <= outcomes["held"] <= 46, outcomes
                assert set(outcomes) <= {"held", "429", "cut"}, outcomes
            assert await ingested(running, ANOTHER_ADDRESS) == 202, "what one address used up is another's to use"
            for writer in writers:
                writer.close()
            result.note = str(dict(outcomes))
        result.held = 1


async def ingested(running: Edge, address: str) -> int:
    """The status of a message with the largest metadata that there may be, from an address."""
    transport = httpx.AsyncHTTPTransport(local_address=address)
    messages = [
        {"tenant_id": "acme", "conversation_id": "c", "role": "user", "content": "word " * 12_000, "embed_later": True}
        for _ in range(20)
    ]
    async with httpx.AsyncClient(transport=transport, base_url=running.url, timeout=60) as http:
        headers = {"x-api-key": KEY, "content-type": "application/json"}
        body = json.dumps({"messages": messages})
        assert len(body) > 1_000_000
        return (await http.post("/v1/messages:batch", content=body, headers=headers)).status_code


@pytest.mark.asyncio
async def test_16_nothing_is_unpacked_of_a_strangers_message(dsn: str, tmp_path: Path) -> None:
    """A call of 16 KB could be 16 MiB in the server before its key is looked at."""
    with item(16, "compressed messages") as result:
        result.tried = 2
        async with edge(dsn, tmp_path, API_KEYS=KEY) as running:
            request = pb.SearchMemoriesRequest(tenant_id="acme", query="a" * 5_000)
            for address in (running.server.address, f"127.0.0.1:{running.port}"):
                for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
                    async with grpc.aio.insecure_channel(address, compression=compression) as channel:
                        with pytest.raises(grpc.aio.AioRpcError) as refused:
                            await pb_grpc.MemoryServiceStub(channel).SearchMemories(request, timeout=10)
                        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
                        assert "ompress" in str(refused.value.details())
            result.held += 1
            for encoding in ("gzip", "deflate", "br", "zstd", "identity, gzip"):
                head = f"{POST}x-api-key: {KEY}\r\ncontent-encoding: {encoding}\r\ncontent-length: 100\r\n\r\n"
                answer = await exchange(running.port, head.encode(), patience=5)
                assert status(answer) == 415, encoding
            result.held += 1

"""MEMORY_RATE_LIMIT_STORAGE: servers that count together in a real Redis, and alone while it is away."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.key_service_pb2 import CreateApiKeyRequest
from tests.chaos.harness import Client, connected, serving, until
from tests.conftest import free_port

REDIS = shutil.which("redis-server")
pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.skipif(REDIS is None, reason="no redis-server here: apt-get install redis-server"),
]


class Redis:
    """A redis-server of the test's own, which can be stopped and started again."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Returns when it answers."""
        self._spawn()
        await until(self._answers, 20, "redis answers")

    def _spawn(self) -> None:
        assert REDIS is not None
        command = [REDIS, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self._directory)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        """Kills it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    yield server
    server.stop()


async def code(client: Client, tenant: str = "acme", metadata: Any = ()) -> str:
    """How a search ends: OK, or whose limit it met."""
    try:
        request = pb.SearchMemoriesRequest(tenant_id=tenant, query="q")
        await client.memory.SearchMemories(request, metadata=metadata, timeout=10)
    except grpc.aio.AioRpcError as error:
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return next(whose for whose in ("TENANT", "KEY", "CLIENT") if whose.lower() in str(error.details()))
    return "OK"


@asynccontextmanager
async def two_servers(dsn: str, directory: Path, redis: Redis, **limits: str) -> AsyncIterator[list[Client]]:
    """Processes of their own, which count in the Redis."""
    variables = limits | {"RATE_LIMIT_STORAGE": f"redis://127.0.0.1:{redis.port}/0"}
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(dsn, directory, **variables)) for _ in range(2)]
        yield [await stack.enter_async_context(connected(server.address)) for server in servers]


async def test_servers_count_together(dsn: str, tmp_path: Path, redis: Redis) -> None:
    await redis.start()
    async with two_servers(dsn, tmp_path, redis, TENANT_RATE_LIMIT="6/minute") as servers:
        codes = [await code(server) for _ in range(4) for server in servers]
        assert codes == ["OK"] * 6 + ["TENANT"] * 2
        assert await code(servers[0], "another") == "OK"


async def test_a_key_has_its_limit_on_all_servers_together(dsn: str, tmp_path: Path, redis: Redis) -> None:
    await redis.start()
    root = (("x-api-key", "root-key-of-this-test"),)
    async with two_servers(dsn, tmp_path, redis, API_KEYS="root-key-of-this-test", GLOBAL_RATE_LIMIT="") as servers:
        request = CreateApiKeyRequest(label="bot", role="reader", tenant_ids=["acme"], rate_limit=4)
        made = await servers[0].key.CreateApiKey(request, metadata=root)
        key = (("x-api-key", made.key),)
        codes = [await code(server, metadata=key) for _ in range(3) for server in servers]
        assert codes == ["OK"] * 4 + ["KEY"] * 2


async def test_a_redis_that_is_away_stops_nobody(dsn: str, tmp_path: Path, redis: Redis) -> None:
    async with two_servers(dsn, tmp_path, redis, GLOBAL_RATE_LIMIT="4/minute") as servers:
        for server in servers:
            assert [await code(server) for _ in range(5)] == ["OK"] * 4 + ["CLIENT"], "each for itself"
        await redis.start()
        await until(lambda: _served(servers[0]), 20, "they count there once it is back")


async def _served(client: Client) -> bool:
    return await code(client) == "OK"

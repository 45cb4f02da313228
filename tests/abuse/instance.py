"""The server under attack, as an attacker and a victim see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from memory_layer.v1 import key_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import Client, ServerProcess, connected, scrape, serving
from tests.conftest import envoy_running, free_port, settings_for_tests

ROOT = "root-key-of-the-instance"
ATTACKER, VICTIM = "attacker", "victim"
_VARIABLES: dict[str, object] = {"API_KEYS": ROOT, "REQUEST_TIMEOUT_SECONDS": 10}


@dataclass
class Attacker:
    """What an attacker has: an address and a connection with a key of a tenant of its own."""

    address: str
    attacker: Client
    attacker_key: str

    async def try_(self, call: Callable[..., Awaitable[Any]], request: Any, seconds: float = 14.0) -> grpc.StatusCode:
        """What becomes of a call; an attacker does not mind being refused."""
        try:
            await call(request, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


@dataclass
class Instance(Attacker):
    """A server process and a connection for each of the two."""

    server: ServerProcess
    victim: Client
    envoy: int | None = None
    """The process that both come through, if any."""

    def resident_mb(self) -> float:
        """Memory of the server process."""
        assert self.server.process is not None
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    async def metrics(self) -> str:
        """The page of metrics."""
        return await scrape(self.server)


Attack = Callable[[Attacker], Awaitable[None]]


class Keyed:
    """A channel whose calls carry a key."""

    def __init__(self, channel: grpc.aio.Channel, key: str) -> None:
        self._channel = channel
        self._metadata = (("x-api-key", key),)

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        make = getattr(self._channel, kind)
        return lambda *arguments, **options: partial(make(*arguments, **options), metadata=self._metadata)


@asynccontextmanager
async def under_attack(
    dsn: str, directory: Path, *, command: tuple[str, ...] = ServerProcess.command, **variables: object
) -> AsyncIterator[Instance]:
    """A server process that serves both, each with a key for a tenant of their own."""
    async with (
        serving(dsn, directory, command=command, **_VARIABLES | variables) as server,
        _both(server, server.address) as instance,
    ):
        yield instance


@asynccontextmanager
async def behind_envoy(
    dsn: str, directory: Path, *, command: tuple[str, ...] = ServerProcess.command, **variables: object
) -> AsyncIterator[Instance]:
    """The same, with an Envoy in front of it, through which both come."""
    async with (
        serving(dsn, directory, command=command, **_VARIABLES | variables) as server,
        _envoy(server, directory) as (address, process),
        _both(server, address) as instance,
    ):
        instance.envoy = process
        yield instance


@asynccontextmanager
async def _both(server: ServerProcess, address: str) -> AsyncIterator[Instance]:
    async with connected(address) as attacker, connected(address) as victim:
        keys = [await _key(client, tenant) for client, tenant in ((attacker, ATTACKER), (victim, VICTIM))]
        yield Instance(address, keyed(attacker, keys[0]), keys[0], server=server, victim=keyed(victim, keys[1]))


@asynccontextmanager
async def _envoy(server: ServerProcess, directory: Path) -> AsyncIterator[tuple[str, int | None]]:
    port = free_port()
    settings = settings_for_tests(
        grpc_port=server.grpc_port, metrics_port=server.metrics_port, http_port=port, api_keys=ROOT
    )
    async with envoy_running(settings, directory / "envoy") as (envoy, _):
        yield f"127.0.0.1:{port}", envoy.pid


def keyed(client: Client, key: str) -> Client:
    """The client, whose calls carry a key from here on; but for those to the health service."""
    channel: Any = Keyed(client.channel, key)
    return Client(channel, client.health)


async def _key(client: Client, tenant_id: str) -> str:
    request = key_service_pb2.CreateApiKeyRequest(label=tenant_id, role="writer", tenant_ids=[tenant_id])
    made = await client.key.CreateApiKey(request, metadata=(("x-api-key", ROOT),))
    return str(made.key)


def search(query: str, tenant_id: str = ATTACKER, **fields: Any) -> pb.SearchMemoriesRequest:
    """A search in a tenant, the attacker's own unless named."""
    return pb.SearchMemoriesRequest(tenant_id=tenant_id, query=query, **fields)


def ingest(content: str, tenant_id: str = ATTACKER, **fields: Any) -> pb.IngestMessageRequest:
    """A message of a tenant, the attacker's own unless named."""
    return pb.IngestMessageRequest(
        **({"tenant_id": tenant_id, "conversation_id": "c", "role": "user", "content": content} | fields)
    )

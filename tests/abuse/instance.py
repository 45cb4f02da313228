"""The server under attack, as an attacker and a victim see it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import Client, ServerProcess, connected, serving

ATTACKER, VICTIM = "attacker", "victim"


@dataclass
class Instance:
    """A server process and a connection for each of the two."""

    server: ServerProcess
    attacker: Client
    victim: Client

    async def try_(self, call: Callable[..., Awaitable[Any]], request: Any, seconds: float = 14.0) -> grpc.StatusCode:
        """What becomes of a call; an attacker does not mind being refused."""
        try:
            await call(request, timeout=seconds)
        except grpc.aio.AioRpcError as error:
            return error.code()
        return grpc.StatusCode.OK


Attack = Callable[[Instance], Awaitable[None]]


@asynccontextmanager
async def under_attack(dsn: str, directory: Path, **variables: object) -> AsyncIterator[Instance]:
    """A server process that serves both."""
    async with (
        serving(dsn, directory, **variables) as server,
        connected(server.address) as attacker,
        connected(server.address) as victim,
    ):
        yield Instance(server, attacker, victim)


def search(query: str, tenant_id: str = ATTACKER, **fields: Any) -> pb.SearchMemoriesRequest:
    """A search in a tenant, the attacker's own unless named."""
    return pb.SearchMemoriesRequest(tenant_id=tenant_id, query=query, **fields)


def ingest(content: str, tenant_id: str = ATTACKER, **fields: Any) -> pb.IngestMessageRequest:
    """A message of a tenant, the attacker's own unless named."""
    return pb.IngestMessageRequest(
        **({"tenant_id": tenant_id, "conversation_id": "c", "role": "user", "content": content} | fields)
    )

"""What is asked of servers that read from replicas."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import prometheus_client

from memory_layer.v1 import listing_pb2 as listing
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningServer

TENANT = "acme"


async def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


def reads(node: str) -> float:
    return prometheus_client.REGISTRY.get_sample_value("memory_reads_total", {"node": node}) or 0.0


def is_up() -> bool:
    return prometheus_client.REGISTRY.get_sample_value("memory_replica_up", {"node": "replica-1"}) == 1.0


async def stored(server: RunningServer, content: str) -> tuple[str, str]:
    """The id of a new message, and the position that its answer gave."""
    call = server.memory.IngestMessage(
        pb.IngestMessageRequest(tenant_id=TENANT, conversation_id="c", role="user", content=content)
    )
    message = await call
    return message.id, str(dict(await call.initial_metadata())["x-lsn"])


async def found(server: RunningServer, content: str, *metadata: tuple[str, str]) -> bool:
    """Whether a search, a list and a look-up by id all know the message, or none of them."""
    answer = await server.memory.SearchMemories(
        pb.SearchMemoriesRequest(tenant_id=TENANT, query=content, top_k=1), metadata=metadata
    )
    listed = await server.memory.ListMessages(listing.ListMessagesRequest(tenant_id=TENANT), metadata=metadata)
    is_found = bool(answer.items) and answer.items[0].content == content
    assert is_found == (content in [message.content for message in listed.messages])
    return is_found

"""The callers. They share the cores with the server, so each is as light as it can be: one process, one connection.

Each returns when every message is answered for, and raises when one is refused.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict

from memory_grpc.commands.importing.locomo import Locomo
from memory_grpc.commands.importing.records import Mark
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub

CALLERS = 64
BATCH = 256

Requests = Sequence[pb.IngestMessageRequest]


@dataclass(frozen=True, slots=True)
class Texts:
    """The turns of a LoCoMo file as requests, in the order of the file, without request ids."""

    requests: Requests

    @classmethod
    def of(cls, file: Path) -> Texts:
        """Reads the file."""
        requests = [record.request for record in Locomo(file).records(Mark()) if record.request is not None]
        for request in requests:
            request.ClearField("request_id")
        return cls(requests)

    def some(self, count: int) -> Requests:
        """``count`` of them, spread over the file; all of them, again and again, where it has fewer."""
        if count <= len(self.requests):
            return [self.requests[i * len(self.requests) // count] for i in range(count)]
        return [self.requests[i % len(self.requests)] for i in range(count)]


def of_tenant(requests: Requests, tenant_id: str, **fields: Any) -> Requests:
    """Copies of the requests for one tenant."""
    copies = []
    for request in requests:
        copy = pb.IngestMessageRequest()
        copy.CopyFrom(request)
        copy.tenant_id = tenant_id
        for name, value in fields.items():
            setattr(copy, name, value)
        copies.append(copy)
    return copies


async def unary(channel: grpc.aio.Channel, requests: Requests, callers: int = CALLERS) -> list[float]:
    """Callers that send their next message when the last one is answered; the milliseconds of each call."""
    stub: Any = MemoryServiceStub(channel)
    left, taken = iter(requests), []

    async def caller() -> None:
        for request in left:
            started = time.perf_counter()
            await stub.IngestMessage(request, timeout=60)
            taken.append((time.perf_counter() - started) * 1000)

    await asyncio.gather(*(caller() for _ in range(callers)))
    return taken


async def rest(url: str, requests: Requests, callers: int = CALLERS) -> None:
    """The same over REST, by HTTP/1.1 written by hand: an HTTP library would take as much CPU as the server."""
    host, _, port = url.removeprefix("http://").partition(":")
    bodies = [json.dumps(MessageToDict(r, preserving_proto_field_name=True)).encode() for r in requests]
    head = "POST /v1/messages HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"
    left = iter([head.format(len(body)).encode() + body for body in bodies])

    async def caller() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            for request in left:
                writer.write(request)
                headers = await reader.readuntil(b"\r\n\r\n")
                if b" 202 " not in headers[:20]:
                    raise SystemExit(f"REST was answered with {headers[:40]!r}")
                for line in headers.split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        await reader.readexactly(int(line.partition(b":")[2]))
                        break
                else:
                    await _chunked(reader)
        finally:
            writer.close()

    await asyncio.gather(*(caller() for _ in range(callers)))


async def _chunked(reader: asyncio.StreamReader) -> None:
    while size := int(await reader.readline(), 16):
        await reader.readexactly(size + 2)
    await reader.readline()


async def batches(channel: grpc.aio.Channel, requests: Requests, size: int = BATCH, in_flight: int = 2) -> None:
    """BatchIngestMessages, a few at once."""
    stub: Any = MemoryServiceStub(channel)
    left = iter([pb.BatchIngestMessagesRequest(messages=requests[i : i + size]) for i in range(0, len(requests), size)])

    async def caller() -> None:
        for request in left:
            await stub.BatchIngestMessages(request, timeout=60)

    await asyncio.gather(*(caller() for _ in range(in_flight)))


async def stream(
    channel: grpc.aio.Channel, requests: Iterator[pb.IngestMessageRequest], seen: Callable[[int], None] = lambda _: None
) -> int:
    """StreamIngest; the number of acknowledgements. ``seen`` is told of every 1,000th."""
    stub: Any = MemoryServiceStub(channel)

    async def sending() -> AsyncIterator[pb.StreamIngestRequest]:
        for request in requests:
            yield pb.StreamIngestRequest(message=request)

    count = 0
    async for _ in stub.StreamIngest(sending()):
        count += 1
        if count % 1000 == 0:
            seen(count)
    return count


async def searches(
    channel: grpc.aio.Channel,
    tenant_id: str,
    queries: Iterator[str],
    every_seconds: float,
    taken: list[float],
    count: int,
) -> None:
    """``count`` searches at a steady pace, one after the other; appends their milliseconds to ``taken``."""
    stub: Any = MemoryServiceStub(channel)
    for _ in range(count):
        request = pb.SearchMemoriesRequest(tenant_id=tenant_id, query=next(queries), top_k=10)
        started = time.perf_counter()
        await stub.SearchMemories(request, timeout=60)
        taken.append((time.perf_counter() - started) * 1000)
        await asyncio.sleep(max(0.0, every_seconds - taken[-1] / 1000))

"""Told to stop: what is inside is finished, what comes is refused, and it is over within the grace."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
from grpc_health.v1 import health_pb2

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import Client, ServerProcess, connected, fetch, item, message, rounds, scrape, serving, until

pytestmark = pytest.mark.timeout(3600)


@dataclass
class Moments:
    """When health said NOT_SERVING to who watched it, and when a call was refused for the first time."""

    not_serving: float = 0.0
    refused: float = 0.0

    async def watch(self, client: Client) -> None:
        """Until NOT_SERVING."""
        async for answer in client.health.Watch(health_pb2.HealthCheckRequest()):
            if answer.status == health_pb2.HealthCheckResponse.NOT_SERVING:
                self.not_serving = time.monotonic()
                return

    async def call(self, client: Client) -> None:
        """One call after the other until one is refused."""
        request = pb.GetMessageRequest(message_id=str(uuid4()))
        while True:
            try:
                await client.memory.GetMessage(request, timeout=5)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.NOT_FOUND:
                    assert error.code() == grpc.StatusCode.UNAVAILABLE, error.details()
                    self.refused = time.monotonic()
                    return


@asynccontextmanager
async def full_server(dsn: str, directory: Path, drain: float, calls: int) -> AsyncIterator[Full]:
    """A server with so many calls inside, which wait for a lock until ``let_go``."""
    limits = {"DATABASE_POOL_MAX_WAITING": 1000, "MAX_CALLS_IN_FLIGHT": 1000}
    async with (
        serving(dsn, directory, DRAIN_SECONDS=drain, **limits) as server,
        connected(server.address) as client,
        await psycopg.AsyncConnection.connect(dsn) as beside,
    ):
        await beside.execute("lock table messages in share mode")  # writers wait, nothing is slept through
        sent = [
            asyncio.ensure_future(client.memory.IngestMessage(message(f"{server.grpc_port} {n}"), timeout=30))
            for n in range(calls)
        ]

        async def in_flight() -> bool:
            metrics = (await scrape(server)).splitlines()
            started = [line for line in metrics if "_started_total{" in line and "IngestMessage" in line]
            return bool(started) and float(started[0].rsplit(" ", 1)[1]) == calls

        await until(in_flight, what=f"{calls} calls inside")
        assert not any(call.done() for call in sent)
        yield Full(server, client, sent, beside.commit)


@dataclass(frozen=True)
class Full:
    """What ``full_server`` gives."""

    server: ServerProcess
    client: Client
    sent: list[asyncio.Future[Any]]
    let_go: Callable[[], Awaitable[None]]

    async def stored(self, dsn: str) -> set[str]:
        """The ids of what its calls stored."""
        rows = fetch(dsn, "select id::text from messages where content like %s", f"{self.server.grpc_port} %")
        return {row[0] for row in rows}


@pytest.mark.asyncio
async def test_4_sigterm_with_200_calls_in_flight(dsn: str, tmp_path: Path) -> None:
    drain, calls = 5.0, 200
    slowest = 0.0
    with item(4, "SIGTERM with 200 calls in flight") as result:
        for _ in range(rounds("SIGTERM", 1)):
            result.tried += 1
            async with full_server(dsn, tmp_path, drain, calls) as full, connected(full.server.address) as other:
                moments = Moments()
                watching, calling = (asyncio.create_task(work(other)) for work in (moments.watch, moments.call))
                assert await other.is_serving()
                full.server.send(signal.SIGTERM)
                terminated = time.monotonic()
                await asyncio.wait_for(asyncio.gather(watching, calling), 5)
                assert moments.not_serving < moments.refused, "health says it first"
                for peer in (full.client, other):
                    with pytest.raises(grpc.aio.AioRpcError) as error:
                        await peer.memory.IngestMessage(message("too late"), timeout=2)
                    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
                await full.let_go()
                answers = await asyncio.gather(*full.sent, return_exceptions=True)
                code = await full.server.ended(drain + 3 + 5)
                took = time.monotonic() - terminated
                slowest = max(slowest, took)
            refused = [a for a in answers if isinstance(a, BaseException)]
            assert not refused, refused[0]
            assert {a.id for a in answers} == await full.stored(dsn), "acknowledged and stored"
            assert len(answers) == calls
            assert not fetch(dsn, "select 1 from messages where content = 'too late'")
            assert code == 0, full.server.text[-1000:]
            assert took < drain
            result.held += 1
        result.note = f"{calls} acknowledged each time, exit after {slowest:.1f} s at most"


@pytest.mark.asyncio
async def test_4_sigterm_with_200_calls_that_do_not_end(dsn: str, tmp_path: Path) -> None:
    """The lock stays: the calls are ended with the grace, their clients are told to try again, nothing is stored."""
    drain, calls = 2.0, 200
    slowest = 0.0
    with item(4, "SIGTERM with 200 calls that do not end") as result:
        for _ in range(rounds("SIGTERM", 1)):
            result.tried += 1
            async with full_server(dsn, tmp_path, drain, calls) as full:
                full.server.send(signal.SIGTERM)
                terminated = time.monotonic()
                answers = await asyncio.gather(*full.sent, return_exceptions=True)
                code = await full.server.ended(drain + 10)
                took = time.monotonic() - terminated
                slowest = max(slowest, took)
            codes = Counter(a.code() if isinstance(a, grpc.aio.AioRpcError) else a for a in answers)
            assert set(codes) == {grpc.StatusCode.UNAVAILABLE}, codes
            assert await full.stored(dsn) == set()
            assert code == 0, full.server.text[-1000:]
            assert took < drain + 1, "calls end with the grace, and the process soon after"
            result.held += 1
        result.note = f"exit after {slowest:.1f} s at most, of a grace of {drain:.0f} s"

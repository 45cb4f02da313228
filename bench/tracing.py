"""`make bench-tracing`: what traces cost a call, and what they cost while they are off.

One caller stores and searches, by gRPC, against a server in this process with the `hashing` embedder: with a real model
the shares are smaller. Off and on take turns, call by call. On means every span made and handed to a processor that
drops it; sending is another thread's work. Off is also measured by itself: a step that makes nothing, times the steps
that a call has.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from opentelemetry.sdk.trace import SpanProcessor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from memory_grpc.app import running
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.observability import tracing, tracing_sdk
from memory_grpc.observability.logging import configure
from memory_grpc.settings import Settings
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub


class Counting(SpanProcessor):
    """Takes spans and drops them."""

    def __init__(self) -> None:
        self.spans = 0

    def on_end(self, span: object) -> None:
        self.spans += 1


def off_nanoseconds(rounds: int = 200_000) -> float:
    """A step while tracing is off, less the loop around it."""
    started = time.perf_counter()
    for _ in range(rounds):
        with tracing.span("step", kind="query"):
            pass
    with_step = time.perf_counter() - started
    started = time.perf_counter()
    for _ in range(rounds):
        pass
    return (with_step - (time.perf_counter() - started)) / rounds * 1e9


async def measured(call: Callable[[int], Awaitable[object]], rounds: int) -> tuple[float, float, float]:
    """Median milliseconds of a call off and on, and spans of one."""
    times: dict[bool, list[float]] = {False: [], True: []}
    counting = Counting()
    end = tracing_sdk.begin(counting)
    on = tracing.use(None)
    for number in range(2 * rounds):
        is_on = number % 2 == (number // 2) % 2  # who begins changes
        tracing.use(on if is_on else None)
        started = time.perf_counter()
        await call(number)
        times[is_on].append((time.perf_counter() - started) * 1000)
    end()
    return statistics.median(times[False]), statistics.median(times[True]), counting.spans / rounds


async def run(rounds: int) -> None:
    step = off_nanoseconds()
    print(f"a step while off: {step:.0f} ns")
    with tempfile.TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder))
        dsn = await asyncio.to_thread(postgres.start)
        settings = Settings(
            _env_file=None, embedding_provider="hashing", grpc_port=0, metrics_port=0, global_rate_limit=""
        )
        try:
            async with (
                running(settings, dsn) as application,
                grpc.aio.insecure_channel(f"127.0.0.1:{application.grpc_port}") as channel,
            ):
                memory: Any = MemoryServiceStub(channel)

                def ingest(number: int) -> Awaitable[object]:
                    content = f"message {number} about rivers and bread"
                    return memory.IngestMessage(
                        pb.IngestMessageRequest(tenant_id="t", conversation_id="c", role="user", content=content)
                    )

                def search(number: int) -> Awaitable[object]:
                    return memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id="t", query=f"bread {number}"))

                for name, call in (("ingest", ingest), ("search", search)):
                    off, on, spans = await measured(call, rounds)
                    print(
                        f"{name}: off {off:.2f} ms, on {on:.2f} ms, ratio {on / off:.3f}, {spans:.1f} spans; "
                        f"off costs {spans * step / off / 1e6:.4%} of the call"
                    )
        finally:
            await asyncio.to_thread(postgres.stop)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=500)
    configure("WARNING", "json")
    asyncio.run(run(parser.parse_args().rounds))

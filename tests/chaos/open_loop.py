"""An open-loop load: calls are sent on a schedule fixed beforehand, whether or not earlier ones were answered.

``python -m tests.chaos.open_loop HOST:PORT --rate 200 --seconds 10`` prints one JSON line. A process of its own, so
that the server's and the test's event loops are not in its figures; it still shares the machine's cores with them, so
it does little: requests are made beforehand, the wire is spoken as in ``wire.py``, and a call leaves one number behind.
``--clients N`` instead of ``--rate`` is closed loop: N callers, one call after the other, which measures what the
server can do.

Latencies count from the moment the schedule names, not from when the generator came to send: a generator that falls
behind does not hide what callers would have felt. How far it fell behind is printed too (``late_ms``), and how much of
the machine it took (``cores``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.wire import Connection

CONNECTIONS = 8
TENANT = "overload"
INGEST = "/memory_layer.v1.MemoryService/IngestMessage"
SEARCH = "/memory_layer.v1.MemoryService/SearchMemories"
WORDS = ["harbour", "lantern", "winter", "garden", "music", "train", "letter", "coffee", "mountain", "river", "doctor"]


def schedule(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Moments of a Poisson process, in seconds from the start; the same for the same seed."""
    chance = random.Random(seed)
    at = chance.expovariate(rate)
    while at < seconds:
        yield at
        at += chance.expovariate(rate)


def request(chance: random.Random, searches: float) -> tuple[str, bytes]:
    """A call, as method and bytes: a search with the probability ``searches``, else a message."""
    text = " ".join(chance.choices(WORDS, k=12))
    if chance.random() < searches:
        return SEARCH, pb.SearchMemoriesRequest(tenant_id=TENANT, query=text).SerializeToString()
    message = pb.IngestMessageRequest(
        tenant_id=TENANT, conversation_id=f"c{chance.randrange(100)}", role="user", content=text
    )
    return INGEST, message.SerializeToString()


class Recorder:
    """Latencies by code, in seconds."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = defaultdict(list)
        self.late: list[float] = []

    def ended(self, code: str, due: float) -> None:
        """A call that was due at a moment has its answer; its latency counts from then."""
        self.took[code].append(time.monotonic() - due)

    def summary(self, seconds: float) -> dict[str, Any]:
        """Counts, goodput (calls a second that were answered OK), and percentiles in ms."""
        return {
            "seconds": round(seconds, 2),
            "sent": sum(len(took) for took in self.took.values()),
            "goodput": round(len(self.took.get("OK", ())) / seconds, 1),
            "codes": {code: len(took) for code, took in sorted(self.took.items())},
            "ms": {code: percentiles(took) for code, took in sorted(self.took.items())},
            "late_ms": percentiles(self.late),
            "cores": round(time.process_time() / seconds, 2),
        }


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p99 and max in milliseconds; zeros when there is nothing."""
    ordered = sorted(values) or [0.0]
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: round(ordered[min(len(ordered) - 1, int(len(ordered) * q))] * 1000, 1) for name, q in at.items()}


@asynccontextmanager
async def connected(address: str, deadline: float) -> AsyncIterator[list[Connection]]:
    """Connections whose calls have that deadline, in seconds."""
    connections = [await Connection.to(address, deadline) for _ in range(CONNECTIONS)]

    async def expire() -> None:
        while True:
            await asyncio.sleep(0.02)
            for connection in connections:
                connection.expire(time.monotonic())

    expiring = asyncio.create_task(expire())
    try:
        yield connections
    finally:
        expiring.cancel()
        for connection in connections:
            connection.close()


async def open_loop(address: str, rate: float, seconds: float, seed: int, deadline: float, searches: float) -> Any:
    """Sends on schedule; the figures once everything is answered."""
    chance = random.Random(seed)
    plan = [(at, *request(chance, searches)) for at in schedule(rate, seconds, seed)]
    recorder, answered = Recorder(), asyncio.Event()
    left = len(plan)

    def done(code: str, due: float) -> None:
        nonlocal left
        recorder.ended(code, due)
        left -= 1
        if not left:
            answered.set()

    async with connected(address, deadline) as connections:
        started = time.monotonic()
        for number, (at, method, body) in enumerate(plan):
            due = started + at
            while (ahead := due - time.monotonic()) > 0:
                await asyncio.sleep(ahead)
            recorder.late.append(-ahead)
            connections[number % CONNECTIONS].call(method, body, partial(done, due=due))
            if number % 20 == 0:  # a generator that is behind must let answers in all the same
                await asyncio.sleep(0)
        if plan:
            await answered.wait()
    return recorder.summary(seconds)


async def closed_loop(address: str, clients: int, seconds: float, seed: int, deadline: float, searches: float) -> Any:
    """``clients`` callers, one call after the other."""
    recorder, loop = Recorder(), asyncio.get_running_loop()
    async with connected(address, deadline) as connections:
        started = time.monotonic()

        async def client(number: int) -> None:
            chance = random.Random(seed * 1000 + number)
            while (now := time.monotonic()) < started + seconds:
                answer: asyncio.Future[str] = loop.create_future()
                connections[number % CONNECTIONS].call(*request(chance, searches), answer.set_result)
                code = await answer
                recorder.ended(code, now)
                if code != "OK":
                    await asyncio.sleep(0.05)

        await asyncio.gather(*(client(number) for number in range(clients)))
    return recorder.summary(time.monotonic() - started)


def main() -> None:
    """Runs one phase."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--rate", type=float, default=0.0, help="calls a second")
    parser.add_argument("--clients", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--deadline", type=float, default=2.0, help="of each call, in seconds")
    parser.add_argument("--searches", type=float, default=0.0, help="share of searches")
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    if a.clients:
        run = closed_loop(a.address, a.clients, a.seconds, a.seed, a.deadline, a.searches)
    else:
        run = open_loop(a.address, a.rate, a.seconds, a.seed, a.deadline, a.searches)
    print(json.dumps(asyncio.run(run)))


if __name__ == "__main__":
    main()

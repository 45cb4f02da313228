"""One tenant fills the model and the places for calls; another is served all the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.abuse import long_batches
from tests.abuse.instance import ATTACKER, VICTIM, Instance, ingest, search, under_attack
from tests.abuse.slow_model import WINDOW_SECONDS
from tests.chaos.harness import until

BATCH = 16
ONE_BATCH_SECONDS = BATCH * WINDOW_SECONDS
SLOW_MODEL = ("-m", "tests.abuse.slow_model")


async def seconds(call: Callable[[Any], Awaitable[Any]], request: Any) -> tuple[float, Any]:
    started = time.monotonic()
    answer = await call(request)
    return time.monotonic() - started, answer


async def served(instance: Instance, calls: int) -> dict[str, float]:
    """The 95th percentile of what single ingests and searches of the victim take; each must be served."""
    took: dict[str, list[float]] = {"ingest": [], "search": []}
    for number in range(calls):
        one, message = await seconds(instance.victim.memory.IngestMessage, ingest(f"text {number}", VICTIM))
        assert message.embedding_status == "completed"
        other, found = await seconds(instance.victim.memory.SearchMemories, search(f"text {time.time_ns()}", VICTIM))
        assert found.total
        took["ingest"].append(one)
        took["search"].append(other)
    return {kind: sorted(values)[int(0.95 * (calls - 1))] for kind, values in took.items()}


@pytest.mark.asyncio
async def test_a_batch_of_the_longest_messages_leaves_single_calls_served(dsn: str, tmp_path: Path) -> None:
    variables = {"EMBEDDING_WORKERS": 1, "EMBEDDING_BATCH_SIZE": BATCH, "EMBEDDING_QUEUE_SIZE": 4096}
    async with under_attack(dsn, tmp_path, command=SLOW_MODEL, **variables) as instance:
        late: list[str] = []
        for _ in range(3):  # other work on the machine makes calls late too, but not always
            idle = await served(instance, 20)
            attacks = [asyncio.create_task(long_batches.attack(instance)) for _ in range(2)]
            await until(lambda: waiting_windows(instance), 20, "the attacker's windows wait")
            busy = await served(instance, 20)
            assert await waiting_windows(instance), "they waited all the time"
            await asyncio.gather(*attacks)
            # What is told from the machine's noise is 50 ms.
            late = [kind for kind, most in busy.items() if most > 2 * max(idle[kind], 0.05) + ONE_BATCH_SECONDS]
            if not late:
                break
            await until(lambda: none_waits(instance), 120, "what was kept as pending is embedded")
        assert not late, f"{idle}, and under attack {busy}"


@pytest.mark.asyncio
async def test_a_tenant_with_a_full_queue_has_its_messages_kept_as_pending(dsn: str, tmp_path: Path) -> None:
    variables = {"EMBEDDING_WORKERS": 1, "EMBEDDING_BATCH_SIZE": BATCH, "EMBEDDING_QUEUE_SIZE": 64}
    async with under_attack(dsn, tmp_path, command=SLOW_MODEL, **variables) as instance:
        attack = asyncio.create_task(long_batches.attack(instance))
        await until(lambda: waiting_windows(instance), 20, "the attacker's windows wait")
        own = await instance.attacker.memory.IngestMessage(ingest("one more"), timeout=5)
        assert own.embedding_status == "pending"
        other = await instance.victim.memory.IngestMessage(ingest("one", VICTIM), timeout=5)
        assert other.embedding_status == "completed"
        await attack


async def windows(instance: Instance) -> float:
    page = await instance.metrics()
    return float(page.split("\nmemory_embedding_queue_windows ")[1].split("\n")[0])


async def waiting_windows(instance: Instance) -> bool:
    """Whether more windows wait than a queue of the tests takes."""
    return await windows(instance) > 64


async def none_waits(instance: Instance) -> bool:
    return await windows(instance) == 0


@pytest.mark.asyncio
async def test_a_tenant_that_wants_all_places_leaves_some(dsn: str, tmp_path: Path) -> None:
    places = 16
    variables = {"MAX_CALLS_IN_FLIGHT": places, "EMBEDDING_WORKERS": 1, "DATABASE_POOL_MAX_SIZE": 4}
    async with under_attack(dsn, tmp_path, command=SLOW_MODEL, **variables) as instance:
        ended = asyncio.Event()
        refused = 0

        async def insist() -> None:
            nonlocal refused
            while not ended.is_set():
                batch = pb.BatchIngestMessagesRequest(messages=[ingest("a " * 5_000)])
                code = await instance.try_(instance.attacker.memory.BatchIngestMessages, batch)
                refused += code.name == "RESOURCE_EXHAUSTED"
                await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            for _ in range(4 * places):
                group.create_task(insist())
            try:
                await until(lambda: refused > places, 20, f"{ATTACKER} wants more places than there are")
                await served(instance, 20)
            finally:
                ended.set()

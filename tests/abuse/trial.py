"""One program against one victim: how long the victim's calls take while nothing else happens, and under attack."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from tests.abuse.instance import VICTIM, Instance, behind_envoy, ingest, search, under_attack
from tests.abuse.processors import Used, used
from tests.abuse.programs import THROUGH_ENVOY

ROOT = Path(__file__).resolve().parents[2]
FACTOR = 3.0
SLOW_MODEL = ("-m", "tests.abuse.slow_model")
_BATCH = 16


@dataclass
class Calls:
    """The victim's, in seconds, and the codes of those that failed."""

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """Seconds, of those that were served."""
        return sorted(self.seconds)[int(0.99 * (len(self.seconds) - 1))] if self.seconds else float("inf")


@dataclass
class Trial:
    """What a victim had of its calls."""

    idle: Calls = field(default_factory=Calls)
    attacked: Calls = field(default_factory=Calls)
    attacks: int = 0
    attacker_share: float = 0.0
    """Of a processor, that the attacker's own process had."""
    used: Used = field(default_factory=Used)
    """Of a processor, that the others had meanwhile."""

    @property
    def factor(self) -> float:
        """How many times as long the slowest calls took."""
        return self.attacked.p99 / self.idle.p99

    def holds(self, least: float = 0.0) -> bool:
        """Whether every call was served, and in good time: what takes less than ``least`` seconds always is."""
        return not self.attacked.failed and self.attacked.p99 <= max(FACTOR * self.idle.p99, least)


@asynccontextmanager
async def instance_of(dsn: str, directory: Path, program: str = "") -> AsyncIterator[Instance]:
    """The service as it is set up by default, but for a rate limit, with a model that takes its time; behind Envoy
    where the program is one of those that come through it."""
    variables = {"EMBEDDING_WORKERS": 1, "EMBEDDING_BATCH_SIZE": _BATCH}
    serve = behind_envoy if program in THROUGH_ENVOY else under_attack
    async with serve(dsn, directory, command=SLOW_MODEL, **variables) as instance:
        yield instance


async def trial(instance: Instance, seconds: float, *programs: str, postmaster: int | None = None) -> Trial:
    """So many seconds without the attack, and at least as many with it, over and over; with several all at once."""
    assert instance.server.process is not None
    server, result = instance.server.process.pid, Trial()
    await _calls(instance, seconds / 4, Calls())  # what is slow only the first time
    await _calls(instance, seconds, result.idle)
    async with _attacking(instance, programs) as said:
        before, started = used(server, postmaster, instance.envoy), time.monotonic()
        await _calls(instance, seconds, result.attacked)
        after, ended = used(server, postmaster, instance.envoy), time.monotonic()
    result.used = after.since(before).during(ended - started)
    result.attacks, result.attacker_share = int(said[0]), said[1] / (ended - started)
    return result


@asynccontextmanager
async def _attacking(instance: Instance, programs: Sequence[str]) -> AsyncIterator[list[float]]:
    """A process that attacks while the block runs; afterwards the list holds how often it did, and its seconds of a
    processor. It gives way to all others, as an attacker elsewhere would have processors of its own."""
    process = await asyncio.create_subprocess_exec(
        *("nice", "-n", "19", sys.executable, "-m", "tests.abuse.attacker", instance.address),
        *programs,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}", "ATTACKER_KEY": instance.attacker_key},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    said: list[float] = []
    try:
        assert await process.stdout.readline(), "it has begun"
        yield said
        process.stdin.close()
        said += map(float, (await process.stdout.read()).split())
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _calls(instance: Instance, seconds: float, calls: Calls) -> None:
    """Messages and searches of the victim's, one after the other."""
    until, number = time.monotonic() + seconds, 0
    memory = instance.victim.memory
    while time.monotonic() < until:
        number += 1
        text = f"text {number} {time.time_ns()}"
        for call, request in (
            (memory.IngestMessage, ingest(text, VICTIM)),
            (memory.SearchMemories, search(text, VICTIM)),
        ):
            started = time.monotonic()
            try:
                await call(request, timeout=10)
            except grpc.aio.AioRpcError as error:
                calls.failed.append(error.code().name)
            else:
                calls.seconds.append(time.monotonic() - started)

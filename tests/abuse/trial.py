"""One program against one victim: how long the victim's calls take while nothing else happens, and under attack."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from tests.abuse.instance import VICTIM, Instance, ingest, search, under_attack

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

    @property
    def factor(self) -> float:
        """How many times as long the slowest calls took."""
        return self.attacked.p99 / self.idle.p99

    def holds(self, least: float = 0.0) -> bool:
        """Whether every call was served, and in good time: what takes less than ``least`` seconds always is."""
        return not self.attacked.failed and self.attacked.p99 <= max(FACTOR * self.idle.p99, least)


@asynccontextmanager
async def instance_of(dsn: str, directory: Path) -> AsyncIterator[Instance]:
    """The service as it is set up by default, but for a rate limit, with a model that takes its time."""
    variables = {"EMBEDDING_WORKERS": 1, "EMBEDDING_BATCH_SIZE": _BATCH}
    async with under_attack(dsn, directory, command=SLOW_MODEL, **variables) as instance:
        yield instance


async def trial(instance: Instance, program: str, seconds: float) -> Trial:
    """So many seconds without the attack, and at least as many with it, over and over."""
    result = Trial()
    await _calls(instance, seconds / 4, Calls())  # what is slow only the first time
    await _calls(instance, seconds, result.idle)
    async with _attacking(instance, program) as attacks:
        await _calls(instance, seconds, result.attacked)
    result.attacks = attacks[0]
    return result


@asynccontextmanager
async def _attacking(instance: Instance, program: str) -> AsyncIterator[list[int]]:
    """A process that attacks while the block runs, so that it holds up nothing of the victim's; afterwards the list
    holds how often it did."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.abuse.attacker", program, instance.address),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'gen'}", "ATTACKER_KEY": instance.attacker_key},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    attacks: list[int] = []
    try:
        assert await process.stdout.readline(), "it has begun"
        yield attacks
        process.stdin.close()
        attacks.append(int(await process.stdout.read()))
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

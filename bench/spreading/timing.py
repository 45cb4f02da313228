"""How fast both databases answer: callers in a closed loop, the databases in turns."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from scaling import synthetic
from tqdm import tqdm

from memory_layer.v1 import memory_service_pb2 as pb

KINDS = ("ingest", "search, semantic", "search, hybrid")


@dataclass
class Timed:
    """The calls of one kind to one database."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Calls a second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, share: float) -> float:
        """So many were as fast or faster."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))]


async def timed(
    stubs: Sequence[Any], tenants: Sequence[str], *, callers: int, seconds: float, rounds: int
) -> list[dict[str, Timed]]:
    """By database and kind. Every kind has so many seconds on each database, in so many parts."""
    found: list[dict[str, Timed]] = [defaultdict(Timed) for _ in stubs]
    with tqdm(total=rounds * len(KINDS) * len(stubs), desc="measuring", mininterval=10) as progress:
        for number in range(rounds):
            for kind in KINDS:
                for place, stub in enumerate(stubs):
                    await _run(stub, kind, tenants, callers, seconds / rounds, number, found[place][kind])
                    progress.update()
    return found


async def _run(
    stub: Any, kind: str, tenants: Sequence[str], callers: int, seconds: float, seed: int, into: Timed
) -> None:
    asked = [question.text for question in synthetic.questions(200, 1000 + seed)]
    began = time.monotonic()

    async def caller(number: int) -> None:
        turn = number
        while time.monotonic() < began + seconds:
            tenant, text = tenants[turn % len(tenants)], asked[turn % len(asked)]
            sent = time.monotonic()
            if kind == "ingest":
                message = pb.IngestMessageRequest(
                    tenant_id=tenant, conversation_id="bench", role="user", content=f"{text} {seed} {turn}"
                )
                await stub.IngestMessage(message, timeout=120)
            else:
                ranking = kind.removeprefix("search, ")
                search = pb.SearchMemoriesRequest(tenant_id=tenant, query=f"{text} {turn}", ranking=ranking, top_k=10)
                await stub.SearchMemories(search, timeout=120)
            into.latencies.append(time.monotonic() - sent)
            turn += callers

    await asyncio.gather(*map(caller, range(callers)))
    into.seconds += time.monotonic() - began

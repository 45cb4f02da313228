"""Calls of a machine with some cores and some server processes, played out: what the queues make of measured costs."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass

ENVOY, PYTHON, MODEL, POSTGRES = "envoy", "python", "model", "postgres"
# Connections for calls of a server: MEMORY_DATABASE_POOL_MAX_SIZE as it is by default.
_CONNECTIONS = 10


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU milliseconds of a call in each part."""

    envoy: float
    python: float
    model: float
    postgres: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.envoy + self.python + self.model + self.postgres

    def stages(self, luck: random.Random) -> deque[tuple[str, float]]:
        """The way of a call through the parts, in seconds each; times vary as exponential ones do."""
        steps = (
            (ENVOY, self.envoy),
            (PYTHON, self.python / 2),
            (MODEL, self.model),
            (POSTGRES, self.postgres),
            (PYTHON, self.python / 2),
        )
        return deque((part, luck.expovariate(1.0) * milliseconds / 1000) for part, milliseconds in steps)


def rate(cost: Cost, *, cores: int, processes: int, callers: int, calls: int = 20_000, seed: int = 1) -> float:
    """Calls a second of ``callers`` that each wait for an answer before they call again.

    A stage runs on a core of its own when one is free and its lane has room: a process has one lane for Python, a share
    of the cores for its model, and ten connections. First come, first served; calls go to the processes in turn.
    """
    luck = random.Random(seed)
    room = {
        (part, process): lanes
        for process in range(processes)
        for part, lanes in (
            (ENVOY, cores),
            (PYTHON, 1),
            (MODEL, max(1, cores // processes)),
            (POSTGRES, _CONNECTIONS),
        )
    }
    waiting: deque[tuple[int, deque[tuple[str, float]]]] = deque()
    running: list[tuple[float, int, int, str, deque[tuple[str, float]]]] = []
    now, free, started, ended = 0.0, cores, 0, 0

    def begin() -> None:
        nonlocal started
        waiting.append((started % processes, cost.stages(luck)))
        started += 1

    for _ in range(callers):
        begin()
    tick = 0
    while ended < calls:
        for _ in range(len(waiting)):
            if not free:
                break
            process, stages = waiting.popleft()
            part, seconds = stages[0]
            if room[part, process]:
                room[part, process] -= 1
                free -= 1
                tick += 1
                heapq.heappush(running, (now + seconds, tick, process, part, stages))
            else:
                waiting.append((process, stages))
        now, _, process, part, stages = heapq.heappop(running)
        room[part, process] += 1
        free += 1
        stages.popleft()
        if stages:
            waiting.appendleft((process, stages))
        else:
            ended += 1
            begin()
    return calls / now

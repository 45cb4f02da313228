"""The overload curve: what a server does with a half, one, two and four times what it can do."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import Any

import psutil

from tests.chaos.harness import ROOT, ServerProcess

FACTORS = (0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, slots=True)
class Point:
    """One rate of the curve."""

    factor: float
    rate: float
    figures: dict[str, Any]
    """What the generator printed."""
    rss_mb: float
    """The server's, the largest seen."""

    @property
    def goodput(self) -> float:
        """Calls a second answered OK."""
        return float(self.figures["goodput"])

    def ms(self, code: str, percentile: str) -> float:
        """A percentile of the latency of calls that ended so; 0 when there were none."""
        return float(self.figures["ms"].get(code, {}).get(percentile, 0.0))

    def faults(self, peak: float, rss_mb: float, deadline: float, *, is_strict: bool) -> list[str]:
        """What does not hold at this rate, against the peak of the curve and the memory at its beginning.

        Loosely, for a machine that is busy with other things: no collapse, and every call got an answer of its kind.
        """
        answers = {"OK", "RESOURCE_EXHAUSTED", *(() if is_strict else ("DEADLINE_EXCEEDED", "CANCELLED"))}
        limits = {
            "other answers than OK and refusals": (set(self.figures["codes"]) <= answers),
            "goodput": self.factor < 1 or self.goodput >= (0.8 * peak if is_strict else 1),
            "memory": self.rss_mb < rss_mb + 150,
            "accepted p99": self.ms("OK", "p99") <= deadline * (1000 if is_strict else 3000),
            "refused p99": not is_strict or self.ms("RESOURCE_EXHAUSTED", "p99") <= 100,
        }
        return [f"at {self.factor:g} x: {name} ({self.line()})" for name, holds in limits.items() if not holds]

    def line(self) -> str:
        """A row of the table."""
        codes = ", ".join(f"{code} {count}" for code, count in self.figures["codes"].items())
        return (
            f"| {self.factor:g} | {self.rate:.0f} | {self.goodput:.0f} | {codes} | {self.ms('OK', 'p50'):.0f} / "
            f"{self.ms('OK', 'p99'):.0f} | {self.ms('RESOURCE_EXHAUSTED', 'p50'):.0f} / "
            f"{self.ms('RESOURCE_EXHAUSTED', 'p99'):.0f} | {self.rss_mb:.0f} | {self.figures['late_ms']['p99']:.0f} | "
            f"{self.figures['cores']:.2f} |"
        )


HEADER = (
    "| x capacity | offered/s | goodput/s | codes | OK p50 / p99 ms | refused p50 / p99 ms | RSS MB | "
    "generator late p99 ms | generator cores |\n|---|---|---|---|---|---|---|---|---|"
)


async def generate(server: ServerProcess, **options: object) -> tuple[dict[str, Any], float]:
    """Runs the generator to its end; its figures, and the largest RSS of the server meanwhile in MB."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chaos.open_loop",
        server.address,
        *words,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"},
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.process is not None
    watched, largest = psutil.Process(server.process.pid), 0
    done = asyncio.ensure_future(process.communicate())
    try:
        while not done.done():
            largest = max(largest, watched.memory_info().rss)
            await asyncio.wait([done], timeout=0.2)
    finally:
        if process.returncode is None:
            process.kill()
    out, _ = await done
    assert process.returncode == 0, out
    return json.loads(out), largest / 2**20


async def capacity(server: ServerProcess, seconds: float, clients: int, **options: object) -> float:
    """Calls a second that a closed loop gets through."""
    figures, _ = await generate(server, clients=clients, seconds=seconds, deadline=10, **options)
    return float(figures["goodput"])


async def curve(server: ServerProcess, peak: float, seconds: float, deadline: float, **options: object) -> list[Point]:
    """The four rates, one after the other."""
    points = []
    for number, factor in enumerate(FACTORS):
        rate = peak * factor
        figures, rss = await generate(server, rate=rate, seconds=seconds, deadline=deadline, seed=number + 1, **options)
        points.append(Point(factor, rate, figures, rss))
    return points


def report(points: list[Point]) -> str:
    """The table."""
    return "\n".join([HEADER, *(point.line() for point in points)])

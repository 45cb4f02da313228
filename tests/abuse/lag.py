"""How long a server's event loop was held up, by its own metric, and how long one would be that does nothing."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.chaos.harness import ServerProcess, scrape

ALLOWED_SECONDS = 0.05
# A machine that is busy with other things holds up every process on it. What happened meanwhile to a loop that does
# nothing may have happened to the server as well, several times: it has more threads that want a core.
BUSY_FACTOR = 3.0

_BUCKET = re.compile(r'^memory_event_loop_lag_seconds_bucket\{le="([^"]+)"\} (\S+)', re.MULTILINE)
_IDLE_LOOP = """
import sys, time
worst = 0.0
print("ready", flush=True)
import threading
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
while not ended.is_set():
    due = time.perf_counter() + 0.01
    time.sleep(0.01)
    worst = max(worst, time.perf_counter() - due)
print(worst, flush=True)
"""


@dataclass
class Lag:
    """``most`` is the bound of the metric's bucket that the longest lag fell into; ``idle`` what a process that does
    nothing saw meanwhile, both in seconds."""

    most: float = 0.0
    idle: float = 0.0
    before: dict[float, float] = field(default_factory=dict)

    @property
    def allowed(self) -> float:
        """Seconds that the loop may have been held up."""
        return ALLOWED_SECONDS + BUSY_FACTOR * self.idle

    @property
    def holds(self) -> bool:
        """Whether nothing held the loop for too long: the metric knows no more than that it was up to ``most``."""
        return self.most <= max(ALLOWED_SECONDS, self.allowed)


@asynccontextmanager
async def loop_lag(server: ServerProcess) -> AsyncIterator[Lag]:
    """Measures a server from the beginning of the block to its end, when the value is there."""
    idle = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _IDLE_LOOP, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert idle.stdout is not None
    await idle.stdout.readline()
    lag = Lag(before=await _buckets(server))
    try:
        yield lag
    finally:
        after = await _buckets(server)
        out, _ = await idle.communicate(b"")
        lag.idle = float(out.split()[-1])
    counts = {bound: after[bound] - lag.before.get(bound, 0.0) for bound in sorted(after)}
    everything = max(counts.values())
    lag.most = next(bound for bound, count in counts.items() if count >= everything)


async def _buckets(server: ServerProcess) -> dict[float, float]:
    """Bound in seconds -> looks at the loop that were no later."""
    found = {float(bound): float(count) for bound, count in _BUCKET.findall(await scrape(server))}
    assert found, "the server says how late its loop is"
    return found

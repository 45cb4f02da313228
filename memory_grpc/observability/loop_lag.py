"""The watchdog of the event loop: how late it comes back to a task that asked for nothing but a moment's sleep.

Whatever runs on the loop without giving it back holds up everybody's calls. Long work belongs into a thread
(``offload.py``); this tells where some was forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from memory_grpc.observability import metrics

# Work that holds the loop is seen as what is left of it at the next look: looks are so close that it hides no more than
# a fifth of what is allowed.
LOOK_SECONDS = 0.01


@asynccontextmanager
async def watched() -> AsyncIterator[None]:
    """Measures the running loop for as long as the block lasts."""
    task = asyncio.create_task(_watch(), name="loop_lag")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        metrics.LOOP_LAG_SECONDS.observe(max(0.0, loop.time() - due))

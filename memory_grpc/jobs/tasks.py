"""Ending tasks, in bounded time."""

from __future__ import annotations

import asyncio
from typing import Any


async def end(task: asyncio.Task[Any], seconds: float) -> bool:
    """Cancels a task and waits for its end, so long at most; whether it has ended. What it raised is dropped."""
    task.cancel()
    await asyncio.wait([task], timeout=seconds)
    if not task.done():
        return False
    if not task.cancelled():
        task.exception()  # or asyncio writes it to the log, words and all
    return True

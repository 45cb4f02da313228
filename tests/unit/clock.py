"""An event loop whose clock is moved by hand."""

from __future__ import annotations

import asyncio


class Clock:
    """The event loop's clock; nothing happens between two moments."""

    def __init__(self) -> None:
        self.now = 5000.0

    async def pass_(self, seconds: float) -> None:
        self.now += seconds
        await settle()


async def settle() -> None:
    """Lets every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)

"""Calls with deadlines of two milliseconds: with keys that do not exist, which are looked up, and with a good one."""

from __future__ import annotations

import asyncio

from tests.abuse.instance import Attacker, search
from tests.chaos.harness import connected

_CALLS = 150
_SECONDS = 0.002


async def attack(instance: Attacker) -> None:
    """Sends them, some at a time."""
    async with connected(instance.address) as stranger:
        for first in range(0, _CALLS, 10):
            await asyncio.gather(*(_one(instance, stranger.memory, number) for number in range(first, first + 10)))


async def _one(instance: Attacker, stranger: object, number: int) -> None:
    key = f"mk_{number:012x}_" + "A" * 43

    async def unknown(request: object, timeout: float) -> None:
        await stranger.SearchMemories(request, timeout=timeout, metadata=(("x-api-key", key),))  # type: ignore[attr-defined]

    await instance.try_(unknown, search("q"), _SECONDS)
    await instance.try_(instance.attacker.memory.SearchMemories, search(f"q {number}"), _SECONDS)

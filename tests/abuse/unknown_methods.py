"""Methods of the caller's own naming, while calls are refused for want of places: none becomes a metric."""

from __future__ import annotations

import asyncio

from tests.abuse.instance import Attacker

NAME = "Wicked"
_CALLS = 200


async def attack(instance: Attacker) -> None:
    """Calls them."""
    channel = instance.attacker.channel
    calls = [channel.unary_unary(f"/memory_layer.v1.{NAME}{number}/SearchMemories") for number in range(_CALLS)]
    await asyncio.gather(*(instance.try_(call, b"") for call in calls))

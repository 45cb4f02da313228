"""Uploads of the largest body that stop before its last byte, many at once from one address."""

from __future__ import annotations

import asyncio

from tests.abuse.instance import Attacker
from tests.abuse.raw import head, held

UPLOADS = 140
_LARGEST = 4 * 1024 * 1024
_PARTS = 64
_HELD_SECONDS = 2.0


async def attack(instance: Attacker) -> None:
    """Begins them and holds them for a while."""
    part = b"x" * (_LARGEST // _PARTS)
    parts = [head(instance.attacker_key, "POST", "/v1/messages", _LARGEST), *(part,) * (_PARTS - 1), part[:-1]]
    await asyncio.gather(*(held(instance.address, parts, _HELD_SECONDS) for _ in range(UPLOADS)))

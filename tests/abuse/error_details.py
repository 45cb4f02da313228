"""Searches with thousands of faults each: an error that named them all would outgrow what a connection carries, and
end everybody's streams on it."""

from __future__ import annotations

import asyncio
import json

from tests.abuse.instance import ATTACKER, Attacker
from tests.abuse.raw import answered, head

_FAULTS = 3000
_SEARCHES = 4


async def attack(instance: Attacker) -> None:
    """Sends some at once."""
    body = json.dumps({"tenant_id": ATTACKER, "query": "x", "metadata_equals": [""] * _FAULTS}).encode()
    request = head(instance.attacker_key, "POST", "/v1/memory/search", len(body)) + body
    await asyncio.gather(*(answered(instance.address, request) for _ in range(_SEARCHES)))

"""A search by REST whose metadata is a list of hundreds of thousands of nulls."""

from __future__ import annotations

import json

from tests.abuse.instance import ATTACKER, Attacker
from tests.abuse.raw import answered, head

_NULLS = 700_000


async def attack(instance: Attacker) -> None:
    """Sends one."""
    body = json.dumps({"tenant_id": ATTACKER, "query": "q", "metadata": {"a": [None] * _NULLS}}).encode()
    await answered(instance.address, head(instance.attacker_key, "POST", "/v1/memory/search", len(body)) + body)

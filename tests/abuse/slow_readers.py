"""Searches whose answers are large and that nobody reads, many at once from one address."""

from __future__ import annotations

import asyncio

from memory_layer.v1 import memory_service_pb2 as pb
from tests.abuse.instance import ATTACKER, Attacker, ingest
from tests.abuse.raw import head, held

READERS = 40
_MESSAGES = 40
_CHARACTERS = 20_000
_HELD_SECONDS = 2.0


async def attack(instance: Attacker) -> None:
    """Stores what is asked for, asks, and leaves it there."""
    batch = [ingest("x" * _CHARACTERS, embed_later=False) for _ in range(_MESSAGES)]
    await instance.try_(instance.attacker.memory.BatchIngestMessages, pb.BatchIngestMessagesRequest(messages=batch))
    path = f"/v1/memory/search?tenant_id={ATTACKER}&query=x&top_k={_MESSAGES}"
    request = [head(instance.attacker_key, "GET", path)]
    await asyncio.gather(*(held(instance.address, request, _HELD_SECONDS) for _ in range(READERS)))

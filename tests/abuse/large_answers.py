"""Searches whose answers are many times what is stored: long messages, each with the forty turns around it."""

from __future__ import annotations

from memory_layer.v1 import memory_service_pb2 as pb
from tests.abuse.instance import Attacker, ingest, search

MESSAGES = 120
CHARACTERS = 30_000


async def attack(instance: Attacker) -> None:
    """Stores the messages and asks for all of them."""
    await stored(instance)
    request = search("x", top_k=1000, neighbours=20)
    await instance.try_(instance.attacker.memory.SearchMemories, request)


async def stored(instance: Attacker) -> None:
    """Stores the messages in one conversation."""
    batch = pb.BatchIngestMessagesRequest(messages=[ingest("x" * CHARACTERS) for _ in range(MESSAGES)])
    await instance.attacker.memory.BatchIngestMessages(batch, timeout=30)

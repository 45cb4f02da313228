"""Batches of the longest messages, one after the other: hundreds of windows each for the model."""

from __future__ import annotations

from memory_layer.v1 import memory_service_pb2 as pb
from tests.abuse.instance import Attacker, ingest

_MESSAGES = 39
_LONGEST = 100_000


async def attack(instance: Attacker) -> None:
    """Sends one."""
    batch = pb.BatchIngestMessagesRequest(messages=[ingest("a " * (_LONGEST // 2)) for _ in range(_MESSAGES)])
    await instance.try_(instance.attacker.memory.BatchIngestMessages, batch, 30.0)

"""Requests of nothing but empty fields: millions of things to parse in a few megabytes."""

from __future__ import annotations

from tests.abuse.instance import Attacker

_SERVICE = "/memory_layer.v1.MemoryService"
_BYTES = 3_900_000


async def attack(instance: Attacker) -> None:
    """Sends a batch of empty messages, and fields that the contract does not hold."""
    for method, field in (("BatchIngestMessages", b"\x0a\x00"), ("SearchMemories", b"\xf8\x7f\x00")):
        call = instance.attacker.channel.unary_unary(f"{_SERVICE}/{method}")
        await instance.try_(call, field * (_BYTES // len(field)))

"""Messages of a few kilobytes that would be megabytes when unpacked, from a caller without a key."""

from __future__ import annotations

import asyncio

import grpc

from tests.abuse.instance import Attacker
from tests.chaos.harness import CHANNEL_OPTIONS

_BYTES = 16 * 1024 * 1024
_CALLS = 8


async def attack(instance: Attacker) -> None:
    """Sends some at once over one connection."""
    nothing = b"\0" * _BYTES
    async with grpc.aio.insecure_channel(
        instance.address, options=CHANNEL_OPTIONS, compression=grpc.Compression.Gzip
    ) as channel:
        call = channel.unary_unary("/memory_layer.v1.MemoryService/GetMessage")
        await asyncio.gather(*(instance.try_(call, nothing) for _ in range(_CALLS)))

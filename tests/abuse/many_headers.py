"""Calls with thousands of headers and no message, of a client that acknowledges no settings: grpc bounds none then."""

from __future__ import annotations

import asyncio

from tests.abuse import frames
from tests.abuse.instance import Attacker
from tests.chaos.wire import HEADERS

CALLS = 50
_HEADERS = 2_000
_SEARCH = "/memory_layer.v1.MemoryService/SearchMemories"


async def attack(instance: Attacker) -> None:
    """Sends some, and waits for what becomes of them."""
    await refused(instance)


async def refused(instance: Attacker) -> int:
    """How many were answered without their message, and so are not kept."""
    async with frames.connected(instance.address) as (reader, writer):
        more = [(b"a", b"b")] * _HEADERS
        writer.write(b"".join(frames.call(2 * number + 1, _SEARCH, more) for number in range(CALLS)))
        answers = 0
        try:
            async with asyncio.timeout(5):
                while answers < CALLS:
                    answers += b"grpc-status" in await frames.next_of(reader, HEADERS)
        except TimeoutError:
            pass
        return answers

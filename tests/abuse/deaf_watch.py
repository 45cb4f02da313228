"""A watch of health whose client takes no answer: it opens its stream with a window of nothing."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.abuse import frames
from tests.abuse.instance import Attacker
from tests.chaos.wire import DATA, END_STREAM, HEADERS, frame

_HELD_SECONDS = 2.0
_EMPTY = b"\0" + struct.pack(">I", 0)  # of the service as a whole


async def attack(instance: Attacker) -> None:
    """Opens one, and holds it for a while."""
    async with held(instance.address):
        await asyncio.sleep(_HELD_SECONDS)


@asynccontextmanager
async def held(address: str) -> AsyncIterator[None]:
    """The watch, as long as the context is open. The server has begun to answer it."""
    async with frames.connected(address, {frames.INITIAL_WINDOW_SIZE: 0}) as (reader, writer):
        writer.write(frames.call(1, "/grpc.health.v1.Health/Watch") + frame(DATA, END_STREAM, 1, _EMPTY))
        async with asyncio.timeout(10):
            # Its headers come before the answer, and are no part of what a window is for.
            await frames.next_of(reader, HEADERS)
        yield

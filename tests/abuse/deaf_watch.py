"""A watch of health whose client takes no answer: it opens its stream with a window of nothing."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.abuse.instance import Attacker
from tests.chaos.wire import DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, SETTINGS, field, frame

_HELD_SECONDS = 2.0
_INITIAL_WINDOW_SIZE = 4
_REQUEST = b"\0" + struct.pack(">I", 0)  # of an empty message: the service as a whole


async def attack(instance: Attacker) -> None:
    """Opens one, and holds it for a while."""
    async with held(instance.address):
        await asyncio.sleep(_HELD_SECONDS)


@asynccontextmanager
async def held(address: str) -> AsyncIterator[None]:
    """The watch, as long as the context is open. The server has begun to answer it."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    headers = b"\x83\x86" + b"".join(  # POST, http
        field(name, value)
        for name, value in (
            (b":path", b"/grpc.health.v1.Health/Watch"),
            (b":authority", b"localhost"),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
        )
    )
    try:
        writer.write(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", _INITIAL_WINDOW_SIZE, 0)))
        writer.write(frame(HEADERS, END_HEADERS, 1, headers) + frame(DATA, END_STREAM, 1, _REQUEST))
        async with asyncio.timeout(10):
            # Its headers come before the answer, and are no part of what a window is for.
            while (await _kind(reader)) != HEADERS:
                pass
        yield
    finally:
        writer.transport.abort()


async def _kind(reader: asyncio.StreamReader) -> int:
    head = await reader.readexactly(9)
    await reader.readexactly(int.from_bytes(head[:3]))
    return head[3]

"""HTTP/2 by hand, for what no client library does to a server."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

from tests.chaos.wire import END_HEADERS, HEADERS, PREFACE, SETTINGS, field, frame

INITIAL_WINDOW_SIZE = 4
_CONTINUATION = 9
_MOST = 16_000  # bytes of a frame; any peer takes so many


@asynccontextmanager
async def connected(
    address: str, settings: Mapping[int, int] | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection with these settings, whose client acknowledges none of the server's."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    wanted = b"".join(struct.pack(">HI", number, value) for number, value in (settings or {}).items())
    try:
        writer.write(PREFACE + frame(SETTINGS, 0, 0, wanted))
        yield reader, writer
    finally:
        writer.transport.abort()


def call(stream: int, method: str, more: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """The headers of a gRPC call, those of ``more`` among them, in as many frames as they take; no message yet."""
    fields = ((b":path", method.encode()), (b":authority", b"localhost"), (b"te", b"trailers"))
    named = (*fields, (b"content-type", b"application/grpc"), *more)
    block = b"\x83\x86" + b"".join(field(name, value) for name, value in named)  # POST, http
    parts = [block[at : at + _MOST] for at in range(0, len(block), _MOST)]
    frames = [
        frame(_CONTINUATION if number else HEADERS, END_HEADERS if part is parts[-1] else 0, stream, part)
        for number, part in enumerate(parts)
    ]
    return b"".join(frames)


async def next_of(reader: asyncio.StreamReader, kind: int) -> bytes:
    """The payload of the next frame of a kind."""
    while True:
        head = await reader.readexactly(9)
        payload = await reader.readexactly(int.from_bytes(head[:3]))
        if head[3] == kind:
            return payload

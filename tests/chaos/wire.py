"""As little of HTTP/2 as a load of unary gRPC calls needs, so that the generator takes little of the machine.

A call through grpc's own Python client takes 0.2 ms of a core, which at a thousand calls a second is taken from the
server on the same machine and counted against it. Here a call is two writes and one read.
Only for the generator: what a server may do and ours does not (CONTINUATION, padding, Huffman codes) is an error here,
and there are never as many calls inside as a connection may have streams.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque
from collections.abc import Callable

import grpc

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
NAMES = {code.value[0]: code.name for code in grpc.StatusCode}
WINDOW = 65_535
LARGE_WINDOW = 2**30

OnDone = Callable[[str], None]
"""Called once with the name of the status."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """A frame as it goes over the wire."""
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def field(name: bytes, value: bytes) -> bytes:
    """A header as HPACK's literal that no table remembers."""
    return bytes((0, len(name))) + name + bytes((len(value),)) + value


def headers(method: str, seconds: float) -> bytes:
    """The header block of a unary call with that deadline."""
    return b"\x83\x86" + b"".join(  # POST, http
        (
            field(b":path", method.encode()),
            field(b":authority", b"localhost"),
            field(b"te", b"trailers"),
            field(b"content-type", b"application/grpc"),
            field(b"grpc-timeout", f"{seconds * 1000:.0f}m".encode()),
        )
    )


class Connection(asyncio.Protocol):
    """One connection with many calls. Calls that are not answered by their deadline end as DEADLINE_EXCEEDED."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._blocks: dict[str, bytes] = {}
        self._next = 1
        self._calls: dict[int, tuple[OnDone, float]] = {}
        self._read = b""
        self._window = WINDOW
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._transport: asyncio.Transport

    @classmethod
    async def to(cls, address: str, seconds: float) -> Connection:
        """Connected; ``seconds`` is the deadline of each call."""
        host, _, port = address.rpartition(":")
        _, connection = await asyncio.get_running_loop().create_connection(lambda: cls(seconds), host, int(port))
        return connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # No header table and no pushes; a window that need not be topped up.
        wanted = struct.pack(">HIHIHI", 1, 0, 2, 0, 4, LARGE_WINDOW)
        transport.write(
            PREFACE + frame(SETTINGS, 0, 0, wanted) + frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", LARGE_WINDOW))
        )

    def call(self, method: str, body: bytes, done: OnDone) -> None:
        """Sends a request of these bytes."""
        if self._transport.is_closing():
            done("UNAVAILABLE")
            return
        stream, self._next = self._next, self._next + 2
        if method not in self._blocks:
            self._blocks[method] = headers(method, self._seconds)
        self._calls[stream] = done, time.monotonic() + self._seconds
        self._transport.write(frame(HEADERS, END_HEADERS, stream, self._blocks[method]))
        message = b"\0" + struct.pack(">I", len(body)) + body
        self._waiting.append((stream, frame(DATA, END_STREAM, stream, message)))
        self._flush()

    def expire(self, now: float) -> None:
        """Ends what was not answered in time. To be called every now and then."""
        while self._calls and (first := next(iter(self._calls.items())))[1][1] <= now:
            self._transport.write(frame(RST_STREAM, 0, first[0], struct.pack(">I", 8)))
            self._end(first[0], "DEADLINE_EXCEEDED")

    def close(self) -> None:
        """Hangs up."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        read = self._read + data
        at = 0
        while len(read) - at >= 9:
            end = at + 9 + int.from_bytes(read[at : at + 3])
            if end > len(read):
                break
            stream = int.from_bytes(read[at + 5 : at + 9])
            self._frame(read[at + 3], read[at + 4], stream, read[at + 9 : end])
            at = end
        self._read = read[at:]

    def connection_lost(self, exc: Exception | None) -> None:
        for stream in list(self._calls):
            self._end(stream, "UNAVAILABLE")

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            assert flags & END_HEADERS, "no CONTINUATION is read here"
            if flags & END_STREAM:
                self._end(stream, status_of(payload))
        elif kind == RST_STREAM:
            self._end(stream, "RESET")
        elif kind in (SETTINGS, PING) and not flags & ACK:
            self._transport.write(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind == WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload)
            self._flush()
        elif kind == GOAWAY:
            self._transport.close()

    def _flush(self) -> None:
        """Sends bodies as far as the server takes them."""
        while self._waiting and len(self._waiting[0][1]) <= self._window:
            stream, data = self._waiting.popleft()
            if stream in self._calls:  # what has ended meanwhile sends no body
                self._window -= len(data) - 9
                self._transport.write(data)

    def _end(self, stream: int, code: str) -> None:
        if (call := self._calls.pop(stream, None)) is not None:
            call[0](code)


def status_of(block: bytes) -> str:
    """The status in a block of trailers."""
    _, name, rest = block.partition(b"grpc-status")
    assert name and rest[0] < 0x80, "grpc-status is a plain literal"
    return NAMES[int(rest[1 : 1 + rest[0]])]

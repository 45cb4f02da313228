"""uvicorn's connection with a bound on how many there are and on what is read, and timers that may cut one off.

Where all connections are taken, who has fewer than others gets one all the same: one address holds them all only as
long as nobody else comes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from http import HTTPStatus
from itertools import count
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from memory_grpc.addresses import counted

_PIECE_BYTES = 8192
MOST_CHUNKS = 10_000  # of one body; h11 takes 5 µs for each, however small
_number = count()


class BoundedConnection(H11Protocol):
    """Dropped where there are too many of them, and where its address has more than another that comes.

    uvicorn's own ``limit_concurrency`` answers 503, but keeps the connection, and waits for slow requests without end.
    """

    max_connections: ClassVar[int]
    _timers: tuple[asyncio.TimerHandle, ...] = ()
    _is_refused = False
    _came = 0
    _address = ""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.conn = _CountingChunks(h11.SERVER)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        peer = transport.get_extra_info("peername")
        self._address, self._came = counted(peer[0]) if peer else "", next(_number)
        if len(self.connections) >= self.max_connections and not self._has_room():
            self.transport = transport  # for connection_lost
            transport.abort()
            return
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """In pieces: h11 bounds a head only while it is incomplete, and works long on each of its lines."""
        for start in range(0, len(data), _PIECE_BYTES):
            # What comes after a refusal is thrown away: who is cut off while sending may not get to read the answer.
            if self._is_refused or self.transport.is_closing():
                return
            super().data_received(data[start : start + _PIECE_BYTES])

    def handle_events(self) -> None:
        """Refuses what is in too many chunks. The timers end the connection if its client does not."""
        try:
            super().handle_events()
        except _TooManyChunksError:
            self._is_refused = True
            self.cycle.disconnected = True  # for the application
            self.cycle.message_event.set()
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body comes in too many chunks.")

    def send_400_response(self, msg: str) -> None:
        """What cannot be read as HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, msg)
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        super().connection_lost(exc)

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        """Answers, unless an answer has begun: there is no second."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers, body = self._refusal(status, text)
        headers |= {"Content-Length": str(len(body)), "Connection": "close"}
        for event in (
            h11.Response(status_code=status, headers=list(headers.items()), reason=status.phrase),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")

    def _refusal(self, status: HTTPStatus, text: str) -> tuple[dict[str, str], bytes]:
        """The headers and the body of an answer to what does not reach the application."""
        return {"Content-Type": "text/plain; charset=utf-8"}, text.encode()

    def _has_room(self) -> bool:
        """Whether one connection is going, or is dropped for this one: of those that the server does not work for, the
        first to come of the address that has most of all."""
        others = [other for other in self.connections if isinstance(other, BoundedConnection)]
        others = [other for other in others if not other.transport.is_closing()]
        if len(others) < self.max_connections:
            return True
        held = Counter(other._address for other in others)
        enough = held[self._address] + 1
        idle = [other for other in others if held[other._address] > enough and other._is_idle()]
        if not idle:
            return False
        min(idle, key=lambda other: (-held[other._address], other._came)).transport.abort()
        return True

    def _is_idle(self) -> bool:
        """Whether its client is waited for: to ask, to ask to the end, or to take its answer."""
        cycle = self.cycle
        return cycle is None or cycle.more_body or cycle.response_complete or self.transport.get_write_buffer_size() > 0

    def _watch(self) -> None:
        """Sets ``_timers``, once the connection is there."""
        raise NotImplementedError


class _TooManyChunksError(Exception):
    pass


class _CountingChunks(h11.Connection):
    """Raises _TooManyChunksError."""

    _chunks = 0

    def next_event(self) -> Any:
        event = super().next_event()
        if isinstance(event, h11.Request):
            self._chunks = 0
        elif isinstance(event, h11.Data):
            self._chunks += event.chunk_end
            if self._chunks > MOST_CHUNKS:
                raise _TooManyChunksError
        return event

"""uvicorn's connection with a bound on how many there are and on what is read, and timers that may cut one off."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

_PIECE_BYTES = 8192
_MOST_LINES = 400  # of a piece: its headers, and the lengths of chunks


class BoundedConnection(H11Protocol):
    """Dropped where there are too many of them.

    uvicorn's own ``limit_concurrency`` answers 503, but keeps the connection, and waits for slow requests without end.
    """

    max_connections: ClassVar[int]
    _timers: tuple[asyncio.TimerHandle, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= self.max_connections:
            self.transport = transport  # for connection_lost
            transport.abort()
            return
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """In pieces. h11 works long on each header and each chunk of a body: a few hundred kilobytes of the smallest
        would hold up all connections for seconds."""
        for start in range(0, len(data), _PIECE_BYTES):
            piece = data[start : start + _PIECE_BYTES]
            if piece.count(b"\r\n") > _MOST_LINES:
                self.transport.abort()
            if self.transport.is_closing():
                return
            super().data_received(piece)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Sets ``_timers``, once the connection is there."""
        raise NotImplementedError

"""uvicorn's connection with a bound on how many there are, and timers that may cut one off."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol


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

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Sets ``_timers``, once the connection is there."""
        raise NotImplementedError

"""What one client of the HTTP transport may hold: one connection of many, while it has something to ask."""

from __future__ import annotations

import asyncio

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

MAX_CONNECTIONS = 256
SILENT_SECONDS = 15.0  # in which a request must move on: its headers, its body


class Connection(H11Protocol):
    """uvicorn's connection, dropped if there are too many of them, and cut if it holds a request back.

    A call that is being answered may take as long as it needs. uvicorn itself waits for requests without end, and its
    ``limit_concurrency`` keeps the connections that it refuses.
    """

    _timer: asyncio.TimerHandle | None = None
    _seen: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= MAX_CONNECTIONS:
            self.transport = transport  # for connection_lost
            transport.abort()
            return
        super().connection_made(transport)
        self._timer = self.loop.call_later(SILENT_SECONDS, self._cut_if_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _cut_if_silent(self) -> None:
        """A request that was not complete the last time, and is not now."""
        cycle = self.cycle
        if cycle is self._seen and (cycle is None or cycle.more_body or cycle.response_complete):
            self.transport.abort()
            return
        self._seen = cycle
        self._timer = self.loop.call_later(SILENT_SECONDS, self._cut_if_silent)


class WithoutStreams:
    """Answers GET with 405: nothing is sent unasked, so there is no stream to keep open."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            await Response(status_code=405, headers={"allow": "POST, DELETE"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)

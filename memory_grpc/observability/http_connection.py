"""What one client of the HTTP side may hold: a place among few, for a short while."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from memory_grpc.observability import pages

MAX_CONNECTIONS = 32
HEAD_SECONDS = 10.0  # until the request line and the headers are there
REQUEST_SECONDS = 30.0  # for the whole of it, answer included
_INVALID_ARGUMENT = 3


class Connection(H11Protocol):
    """uvicorn's connection, dropped where there are too many of them, and cut when it takes too long.

    Its own ``limit_concurrency`` answers 503, but keeps the connection, and waits for slow requests without end.
    """

    _timers: tuple[asyncio.TimerHandle, ...] = ()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if len(self.connections) >= MAX_CONNECTIONS:
            self.transport = transport  # for connection_lost
            transport.abort()
            return
        super().connection_made(transport)
        self._timers = (
            self.loop.call_later(HEAD_SECONDS, self._cut_if_silent),
            self.loop.call_later(REQUEST_SECONDS, transport.abort),
        )

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What cannot be read as HTTP, in the service's error shape; ``msg`` is uvicorn's and not sent."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer has begun: there is no second
            self.transport.close()
            return
        status = HTTPStatus.BAD_REQUEST
        answer = pages.error(_INVALID_ARGUMENT, status.phrase.lower())
        headers = {**pages.HEADERS, "Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
        for event in (
            h11.Response(status_code=status, headers=list(headers.items()), reason=status.phrase),
            h11.Data(data=answer.body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _cut_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()

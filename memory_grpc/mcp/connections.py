"""What one client of the HTTP transport may hold: one connection of many, while it has something to ask.

Nobody is asked for a key before a body is parsed: the service checks keys.
"""

from __future__ import annotations

from collections import deque

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import RequestResponseCycle

from memory_grpc.bounded_connection import BoundedConnection

SILENT_SECONDS = 15.0  # in which a request must move on: its headers, its body
MOST_BYTES = 2 * 1024 * 1024
_MOST_DIGITS = 9
# Brackets and colons, in texts too: the SDK parses a text once more that stands in the place of a list or an object.
MOST_PARTS = 50_000


class Connection(BoundedConnection):
    """Cut if it holds a request back, or does not take its answer. A call may take as long as it needs."""

    max_connections = 256
    _seen: tuple[RequestResponseCycle, bool, bool] | None = None
    _unread = 0

    def _watch(self) -> None:
        self._timers = (self.loop.call_later(SILENT_SECONDS, self._cut_if_silent),)

    def _cut_if_silent(self) -> None:
        """A request that was not complete the last time, and is not now; or an answer of which nothing was taken."""
        cycle, unread = self.cycle, self.transport.get_write_buffer_size()
        # A call that was answered since the last time is another state: its connection has only just become idle.
        seen = None if cycle is None else (cycle, cycle.more_body, cycle.response_complete)
        if unread == self._unread if unread else seen == self._seen and self._is_idle():
            self.transport.abort()
            return
        self._seen, self._unread = seen, unread
        self._watch()


class WithoutStreams:
    """Answers GET with 405: nothing is sent unasked, so there is no stream to keep open."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            await Response(status_code=405, headers={"allow": "POST, DELETE"})(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class BoundedBodies:
    """Answers a body that is too large with 413, and one of too many parts: parsing it would hold up everybody."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call, of ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "0")
        is_too_large = len(declared) > _MOST_DIGITS or int(declared) > MOST_BYTES
        size = parts = 0
        held: deque[Message] = deque()
        while not is_too_large and (not held or held[-1].get("more_body", False)):
            held.append(await receive())
            if held[-1]["type"] == "http.disconnect":
                return
            body = held[-1].get("body", b"")
            size += len(body)
            parts += body.count(b"[") + body.count(b"{") + body.count(b":")
            is_too_large = size > MOST_BYTES or parts > MOST_PARTS
        if is_too_large:
            await Response(
                "The body is too large, or has too many brackets and colons. Send it in several calls.", 413
            )(scope, receive, send)
            return

        async def again() -> Message:
            return held.popleft() if held else await receive()

        await self._app(scope, again, send)

"""Errors of the HTTP transport, without what was sent."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_QUOTES = b"Validation error: "
_NO_MESSAGE = {
    "jsonrpc": "2.0",
    "id": None,
    "error": {"code": -32600, "message": "The body is no JSON-RPC message, or a batch of them."},
}


class WithoutEcho:
    """Says in fixed words that a body is no message. The SDK's own answer quotes the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One call, of ASGI."""
        begun: Message | None = None

        async def checked(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start" and message["status"] == 400:
                begun = message
                return
            if begun is not None and _QUOTES in message.get("body", b""):
                await JSONResponse(_NO_MESSAGE, 400)(scope, receive, send)
                return
            if begun is not None:
                await send(begun)
                begun = None
            await send(message)

        await self._app(scope, receive, checked)

"""An answer by HTTP from a service that may be slow, broken or hostile: whole, within one time limit, and not large.

A client's own time limits are for each read: a service that sends a byte now and then keeps it waiting for ever.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from concurrent.futures import Future
from typing import Any, NamedTuple

import httpx

MOST_PARTS = 250_000
"""Of JSON. Each may take twenty times its own bytes, and no other thread runs until all are parsed."""


class NoAnswerError(Exception):
    """There is no whole answer. The text says of which kind that is, and nothing that was sent or answered."""


class TooSlowError(NoAnswerError):
    """It took longer than was given."""


class Answer(NamedTuple):
    """What came back. A redirect is an answer, and is not followed."""

    status: int
    headers: httpx.Headers
    body: bytes

    def json(self, parts: int = MOST_PARTS) -> Any:
        """The body's JSON, of so many parts at most. Raises ValueError, whose text holds content."""
        if sum(map(self.body.count, (b",", b"[", b"{"))) > parts:
            raise ValueError("too many parts")
        try:
            return json.loads(self.body)
        except RecursionError:
            raise ValueError("nested too deeply") from None


class Loop(asyncio.SelectorEventLoop):
    """Its look-ups of names hold up nothing. Those of asyncio's own loops hold up the end of the process."""

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[tuple[Any, ...], Future[Any]] = {}

    async def getaddrinfo(self, host: Any, port: Any, **kinds: Any) -> Any:
        """As any loop's. Whoever asks while the same is being asked gets the same answer."""
        asked = (host, port, *sorted(kinds.items()))
        found = self._found.get(asked)
        if found is None or found.done():
            found = Future()
            found.set_running_or_notify_cancel()  # so that no one of those who wait can cancel it
            threading.Thread(target=_look_up, args=(found, host, port, kinds), name="look_up", daemon=True).start()
            self._found[asked] = found
        return await asyncio.wrap_future(found)


def _look_up(found: Future[Any], host: Any, port: Any, kinds: dict[str, Any]) -> None:
    try:
        found.set_result(socket.getaddrinfo(host, port, **kinds))
    except Exception as error:  # whatever it is, it is whoever asks who gets it
        found.set_exception(error)


async def whole_answer(
    client: httpx.AsyncClient, method: str, url: httpx.URL | str, *, seconds: float | None, most: int, **sent: Any
) -> Answer:
    """The answer to one request, within ``seconds`` from its first byte to the last; None: whoever waits ends it.

    Raises NoAnswerError: also past ``most`` bytes, which are all that is held of it. A failure that says more than that
    has its status, and no body.
    """
    # Nothing is ever unpacked: that could be a thousand times as much, at each of several layers.
    headers = {"accept": "application/json", "accept-encoding": "identity"}
    body = bytearray()
    try:
        async with asyncio.timeout(seconds), client.stream(method, url, headers=headers, **sent) as response:
            async for part in response.aiter_raw():
                body += part
                if len(body) > most:
                    if response.status_code != 200:
                        return Answer(response.status_code, response.headers, b"")
                    raise NoAnswerError("too large")
    except TimeoutError:
        raise TooSlowError("too slow") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise NoAnswerError(type(error).__name__) from None
    return Answer(response.status_code, response.headers, bytes(body))

"""How a model's service is reached: its URL, its key and the proxies between, or what is wrong with them."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import Future
from typing import Any, NamedTuple

import httpx

from memory_grpc.errors import StartupError
from memory_grpc.whole_answer import Answer, Loop, NoAnswerError, TooSlowError, whole_answer

from . import dialects
from .local_service import past_proxies

_SLACK_BYTES = 64 * 1024
MOST_AT_ONCE = 100
"""Posts: as many as httpx has connections. Beyond, each step of each takes it a walk through all that wait."""
_CLOSED = "closed"


class Variables(NamedTuple):
    """Which settings say where a service is and hold its key."""

    url: str
    key: str


def http_url(text: str, variable: str, example: str) -> httpx.URL:
    """``text`` as a URL; StartupError when it is no http(s) URL."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise StartupError(f"{variable} must be an http(s) URL such as {example}.")
    return url


class Posting:
    """Posts to one URL, from a thread with an event loop of its own.

    Only in a loop does a time limit hold for all of an answer, and what a service sends must not hold up the loop that
    serves others.
    """

    def __init__(
        self, url: httpx.URL, key: str, variables: Variables, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        """StartupError when the key cannot be sent or the environment's proxies cannot be taken. No request is made."""
        self._url = url
        self._client = _client(url, key, variables, transport)
        self._lock = threading.Lock()
        self._is_closed = False
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._loop = Loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="model_service", daemon=True)
        self._thread.start()

    def post(self, body: dict[str, Any], *, seconds: float | None, repeated: int, besides: int) -> Future[Answer]:
        """The answer to come, or NoAnswerError, also once this is closed. Cancelling it ends the request.

        It may be ``besides`` bytes long, and ``repeated`` times what was sent.
        """
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        most = besides + repeated * len(content) + _SLACK_BYTES
        with self._lock:
            if self._is_closed:
                raise NoAnswerError(_CLOSED)
            return asyncio.run_coroutine_threadsafe(self._answer(content, seconds, most), self._loop)

    def close(self) -> None:
        """Gives up what is under way, and returns when it has ended. Harmless when repeated."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _answer(self, content: bytes, seconds: float | None, most: int) -> Answer:
        try:
            async with asyncio.timeout(seconds), self._places:
                return await whole_answer(self._client, "POST", self._url, seconds=None, most=most, content=content)
        except TimeoutError:
            raise TooSlowError("too slow") from None
        except asyncio.CancelledError as error:
            if _CLOSED in error.args:  # whoever waits was not cancelled, and must not look so
                raise NoAnswerError(_CLOSED) from None
            raise

    async def _end(self) -> None:
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel(None if task.cancelling() else _CLOSED)
        await asyncio.gather(*under_way, return_exceptions=True)
        await self._client.aclose()
        await asyncio.get_running_loop().shutdown_asyncgens()  # of answers that were cut off


def _client(
    url: httpx.URL, key: str, variables: Variables, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    headers = dialects.headers(url.host, key) | {"content-type": "application/json"}
    try:
        httpx.Headers(headers)
    except (UnicodeEncodeError, ValueError):
        raise StartupError(f"{variables.key} contains characters that a header cannot carry.") from None
    try:
        # No time limit of the client's: there is one for the whole of an answer.
        return httpx.AsyncClient(headers=headers, timeout=None, transport=transport or past_proxies(url))  # noqa: S113
    except (ImportError, OSError, ValueError, httpx.InvalidURL):
        raise StartupError(
            f"Cannot connect to {variables.url}: one of HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, "
            "SSL_CERT_FILE and SSL_CERT_DIR is invalid."
        ) from None

"""Where a key set is read from: a file, a URL, or what an OpenID provider says of itself. All raise SourceError."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Protocol

import httpx

from memory_grpc.addresses import leads_here
from memory_grpc.operations.tokens.key_set import MOST_BYTES

SECONDS = 5.0
"""For a request, from the look-up of its name to the last byte of its answer, however the answer comes.

A look-up goes on in its thread until the system gives it up; the end of the process waits for that."""
_DISCOVERY = "/.well-known/openid-configuration"


class SourceError(Exception):
    """The key set cannot be had. The text says of which kind that is, and nothing that was answered."""


class Source(Protocol):
    """Where a key set is."""

    seconds: float
    """How often it is worth looking."""

    def read(self) -> Any:
        """The document, parsed; blocks, SECONDS per request at most, in a thread without a loop. Raises SourceError."""


class FileSource:
    """A file, which may be replaced at any time."""

    seconds = 5.0

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Any:
        """The file's JSON."""
        try:
            with self._path.open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise SourceError(f"the file cannot be read: {error.strerror}") from None
        return _json(raw)


class UrlSource:
    """A URL; redirects are not followed."""

    seconds = 300.0

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self) -> Any:
        """What the URL answers, as JSON."""
        return get(self._url)


class IssuerSource:
    """OpenID Connect Discovery: the issuer says where its key set is, and that it is the issuer."""

    seconds = 300.0

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def read(self) -> Any:
        """The key set of the issuer, which is looked for anew each time."""
        about = get(self._issuer.rstrip("/") + _DISCOVERY)
        if not isinstance(about, dict) or about.get("issuer") != self._issuer:
            raise SourceError("the discovery document belongs to another issuer")
        url = about.get("jwks_uri")
        if not isinstance(url, str) or not is_safe(url) or (is_here(url) and not is_here(self._issuer)):
            raise SourceError("the discovery document gives no https address for the key set")
        return get(url)


def is_safe(url: str) -> bool:
    """Whether nobody in between can answer in its place: https, or this machine."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return bool(parsed.host) and (parsed.scheme == "https" or (parsed.scheme == "http" and is_here(url)))


def is_here(url: str) -> bool:
    """Whether it is on this machine. Raises httpx.InvalidURL."""
    return leads_here(httpx.URL(url).host)


def get(url: str) -> Any:
    """A document by HTTP, of MOST_BYTES at most."""
    try:
        # A loop of its own: only there does a time limit hold for all of the answer. A client that blocks waits anew
        # for each byte, and a thread that hangs holds up the end of the server.
        # It is not left to asyncio.run, which would wait for a name server that hangs.
        loop = asyncio.new_event_loop()
        try:
            raw = loop.run_until_complete(_fetched(url))
        finally:
            loop.close()
    except TimeoutError:
        raise SourceError("too slow") from None
    except httpx.HTTPError as error:
        raise SourceError(type(error).__name__) from None
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        wrong = "the address, a proxy variable or SSL_CERT_FILE may be wrong"
        raise SourceError(f"{type(error).__name__}: {wrong}") from None
    return _json(raw)


async def _fetched(url: str) -> bytes:
    raw = b""
    async with (
        asyncio.timeout(SECONDS),
        # What is on this machine is not asked for by way of a proxy.
        httpx.AsyncClient(timeout=None, trust_env=not is_here(url)) as client,  # noqa: S113 - the whole has a limit
        client.stream("GET", url, headers={"accept": "application/json", "accept-encoding": "identity"}) as response,
    ):
        if response.status_code != 200:
            raise SourceError(f"status {response.status_code}")
        # As it comes, and never unpacked: that could be a thousand times as much, at each of several layers.
        async for part in response.aiter_raw():
            raw += part
            if len(raw) > MOST_BYTES:
                break
    return raw


def _json(raw: bytes) -> Any:
    if len(raw) > MOST_BYTES:
        raise SourceError("too large")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise SourceError("not JSON") from None

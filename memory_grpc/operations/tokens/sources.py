"""Where a key set is read from: a file, a URL, or what an OpenID provider says of itself. All raise SourceError."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from pathlib import Path
from typing import Any, Protocol

import httpx

from memory_grpc.addresses import leads_here
from memory_grpc.operations.tokens.key_set import MOST_BYTES
from memory_grpc.whole_answer import Answer, Loop, NoAnswerError, whole_answer

SECONDS = 5.0
"""For a request, from the look-up of its name to the last byte of its answer, however the answer comes."""
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
            with open(self._path, "rb", opener=_at_once) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise SourceError("a pipe or a device, and no file")
                raw = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise SourceError(f"the file cannot be read: {error.strerror}") from None
        if len(raw) > MOST_BYTES:
            raise SourceError("too large")
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


def _at_once(path: str, flags: int) -> int:
    """Opens a file without waiting for who would write into a pipe that is in its place."""
    return os.open(path, flags | os.O_NONBLOCK)


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
        with asyncio.Runner(loop_factory=Loop) as runner:
            answer = runner.run(_fetched(url))
    except NoAnswerError as error:
        raise SourceError(str(error)) from None
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        wrong = "the address, a proxy variable or SSL_CERT_FILE may be wrong"
        raise SourceError(f"{type(error).__name__}: {wrong}") from None
    if answer.status != 200:
        raise SourceError(f"status {answer.status}")
    return _json(answer.body)


async def _fetched(url: str) -> Answer:
    # What is on this machine is not asked for by way of a proxy.
    async with httpx.AsyncClient(timeout=None, trust_env=not is_here(url)) as client:  # noqa: S113 - the whole has a limit
        return await whole_answer(client, "GET", url, seconds=SECONDS, most=MOST_BYTES)


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise SourceError("not JSON") from None

"""Where a key set is read from: a file, a URL, or what an OpenID provider says of itself. All raise SourceError."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Protocol

import httpx

from memory_grpc.operations.tokens.key_set import MOST_BYTES

SECONDS = 5.0
_DISCOVERY = "/.well-known/openid-configuration"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SourceError(Exception):
    """The key set cannot be had. The text says of which kind that is, and nothing that was answered."""


class Source(Protocol):
    """Where a key set is."""

    seconds: float
    """How often it is worth looking."""

    def read(self) -> Any:
        """The document, parsed; blocks, SECONDS per request at most. Raises SourceError."""


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
        if not isinstance(url, str) or not is_safe(url):
            raise SourceError("the discovery document gives no https address for the key set")
        return get(url)


def is_safe(url: str) -> bool:
    """Whether nobody in between can answer in its place: https, or this machine."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return bool(parsed.host) and (parsed.scheme == "https" or (parsed.scheme == "http" and parsed.host in _LOOPBACK))


def get(url: str) -> Any:
    """A document by HTTP, of MOST_BYTES at most."""
    raw, ends_at = b"", time.monotonic() + 2 * SECONDS
    try:
        # What is on this machine is not asked for by way of a proxy.
        proxied = httpx.URL(url).host not in _LOOPBACK
        with (
            httpx.Client(timeout=SECONDS, trust_env=proxied) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as response,
        ):
            if response.status_code != 200:
                raise SourceError(f"status {response.status_code}")
            for part in response.iter_bytes():
                raw += part
                if len(raw) > MOST_BYTES:
                    break
                if time.monotonic() > ends_at:
                    raise SourceError("too slow")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SourceError(type(error).__name__) from None
    return _json(raw)


def _json(raw: bytes) -> Any:
    if len(raw) > MOST_BYTES:
        raise SourceError("too large")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        raise SourceError("not JSON") from None

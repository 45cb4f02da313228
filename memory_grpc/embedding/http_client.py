"""How a model's service is reached: its URL, its key and the proxies between, or what is wrong with them."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

import httpx

from memory_grpc.errors import StartupError

from . import dialects

Client = TypeVar("Client", httpx.Client, httpx.AsyncClient)


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


def opened(kind: type[Client], url: httpx.URL, key: str, variables: Variables, **options: Any) -> Client:
    """A client that sends the key; no request is made.

    StartupError when the key cannot be sent or the environment's proxies cannot be taken.
    """
    headers = dialects.headers(url.host, key)
    try:
        httpx.Headers(headers)
    except (UnicodeEncodeError, ValueError):
        raise StartupError(f"{variables.key} contains characters that a header cannot carry.") from None
    try:
        return kind(headers=headers, **options)
    except (ImportError, OSError, ValueError, httpx.InvalidURL):
        raise StartupError(
            f"Cannot connect to {variables.url}: one of HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, "
            "SSL_CERT_FILE and SSL_CERT_DIR is invalid."
        ) from None

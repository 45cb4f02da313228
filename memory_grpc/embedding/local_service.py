"""A model's service on this machine: no proxy of the environment stands between."""

from __future__ import annotations

from typing import TypeVar

import httpx

from memory_grpc.addresses import is_loopback

Transport = TypeVar("Transport", httpx.HTTPTransport, httpx.AsyncHTTPTransport)


def past_proxies(base_url: str, kind: type[Transport]) -> Transport | None:
    """How to call ``base_url`` past HTTP_PROXY, ALL_PROXY and their like; None where they are to be heeded, as for any
    other machine.

    SSL_CERT_FILE and SSL_CERT_DIR hold where TLS is spoken; what they cannot mean is left for the client to say.
    """
    try:
        url = httpx.URL(base_url)
        if url.scheme not in ("http", "https") or not is_loopback(url.host):
            return None
        return kind(trust_env=url.scheme == "https")
    except (OSError, ValueError, httpx.InvalidURL):
        return None

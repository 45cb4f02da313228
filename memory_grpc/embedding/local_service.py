"""A model's service on this machine: no proxy of the environment stands between."""

from __future__ import annotations

import httpx

from memory_grpc.addresses import is_loopback


def past_proxies(url: httpx.URL) -> httpx.AsyncHTTPTransport | None:
    """How to call ``url`` past HTTP_PROXY, ALL_PROXY and their like; None where they are to be heeded, as for any
    other machine.

    SSL_CERT_FILE and SSL_CERT_DIR hold where TLS is spoken; what they cannot mean is left for the client to say.
    """
    if not is_loopback(url.host):
        return None
    try:
        return httpx.AsyncHTTPTransport(trust_env=url.scheme == "https")
    except (OSError, ValueError):
        return None

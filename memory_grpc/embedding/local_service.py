"""An embedding service on this machine: no proxy of the environment stands between."""

from __future__ import annotations

import httpx

from memory_grpc.addresses import is_loopback


def past_proxies(base_url: str) -> httpx.HTTPTransport | None:
    """How to call ``base_url`` past HTTP_PROXY, ALL_PROXY and their like; None where they are to be heeded, as for any
    other machine.

    SSL_CERT_FILE and SSL_CERT_DIR hold where TLS is spoken; what they cannot mean is left for the client to say.
    """
    try:
        url = httpx.URL(base_url)
        if url.scheme not in ("http", "https") or not is_loopback(url.host):
            return None
        return httpx.HTTPTransport(trust_env=url.scheme == "https")
    except (OSError, ValueError, httpx.InvalidURL):
        return None

"""Addresses to listen on: which of them only this machine reaches, and how they are written."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``. Any name but ``localhost`` may lead anywhere."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def from_here(host: str) -> str:
    """Where a client on this machine reaches what listens on ``host``."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here


def unbracketed(host: str) -> str:
    """``host`` as sockets take it: an IPv6 address without brackets."""
    return host.strip().removeprefix("[").removesuffix("]")


def bracketed(host: str) -> str:
    """``host`` as it stands before a port: an IPv6 address within brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host

"""Addresses: which of them are on this machine, and how they are written."""

from __future__ import annotations

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens on ``host``. Any name but ``localhost`` may lead anywhere."""
    if host.lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return _unmapped(address).is_loopback


def leads_here(host: str) -> bool:
    """Whether who connects to ``host`` reaches this machine: an address in any notation that sockets take, or
    ``localhost``. Any other name may lead anywhere, here too."""
    name = host.lower().removesuffix(".")
    if name == "localhost":
        return True
    try:
        # Sockets take 127.1 and 2130706433 too.
        address = _unmapped(ipaddress.ip_address(name if ":" in name else socket.inet_aton(name)))
    except (OSError, ValueError):
        return False
    return address.is_loopback or address.is_unspecified


def from_here(host: str) -> str:
    """Where a client on this machine reaches what listens on ``host``."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here


def unbracketed(host: str) -> str:
    """``host`` as sockets take it: an IPv6 address without brackets."""
    return host.strip().removeprefix("[").removesuffix("]")


def bracketed(host: str) -> str:
    """``host`` as it stands before a port: an IPv6 address within brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def _unmapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return (address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address

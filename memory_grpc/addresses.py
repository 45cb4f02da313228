"""Addresses: which of them are on this machine, how they are written, and how clients are counted by theirs."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAME_CHARACTERS = 253
_NAME = re.compile(r"((?!-)[\w-]{1,63}(?<!-)\.)*(?!-|\d+$|0x)[\w-]{1,63}(?<!-)", re.ASCII | re.IGNORECASE)
# What one customer of a provider gets at least: whoever has an IPv6 address has as many as that.
_IPV6_PREFIX = 64


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
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here


def is_host(text: str) -> bool:
    """Whether a text is an IP address, or may be a name. What ends in a number is an address or nothing: 127.1, which
    sockets take, gRPC and Envoy do not."""
    if parsed(text) is not None:
        return True
    name = text.removesuffix(".")
    return len(name) <= _NAME_CHARACTERS and _NAME.fullmatch(name) is not None


def unbracketed(host: str) -> str:
    """``host`` as sockets take it: an IPv6 address without brackets."""
    return host.strip().removeprefix("[").removesuffix("]")


def bracketed(host: str) -> str:
    """``host`` as it stands before a port: an IPv6 address within brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def parsed(text: str) -> Address | None:
    """The address that a text is, with or without its scope; None for what is none. A server that listens on :: sees
    IPv4 clients as ::ffff:127.0.0.1."""
    try:
        return _unmapped(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return None


def counted(address: str) -> str:
    """What an address is counted as: itself, or its network of IPv6, which belongs to one client."""
    ip = parsed(address)
    if isinstance(ip, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((ip, _IPV6_PREFIX), strict=False))
    return address


def _unmapped(address: Address) -> Address:
    return (address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address

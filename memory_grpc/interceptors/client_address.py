"""Whose address a call comes from."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network
from urllib.parse import unquote

from memory_grpc.addresses import parsed
from memory_grpc.errors import StartupError

# Of what is no address: it is a stranger's text, if a proxy lets it through, and reaches neither log nor counts.
UNKNOWN = "unknown"


class ClientAddresses:
    """Reads x-forwarded-for as far as the proxies that wrote it are trusted."""

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        try:
            self._trusted = [ip_network(network) for network in trusted_proxies]
        except ValueError as error:
            raise StartupError("MEMORY_TRUSTED_PROXIES contains something that is not a network.") from error

    def of(self, peer: str, forwarded_for: str) -> str:
        """The client's address, one spelling for each.

        ``peer`` is what grpc says (``ipv4:127.0.0.1:4242``, ``ipv6:%5B::1%5D:4242``); x-forwarded-for is read from its
        end, each entry believed only if whoever wrote it is a trusted proxy. Some proxies write ports too.
        """
        address = _peer_address(peer)
        for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
            if not self.is_trusted(address):
                break
            address = _spelt(hop)
        return address

    def is_trusted(self, address: str) -> bool:
        """Whether it is a proxy's that is believed."""
        ip = parsed(address)
        return ip is not None and any(ip in network for network in self._trusted)


def _peer_address(peer: str) -> str:
    """``ipv4:127.0.0.1:4242`` → ``127.0.0.1``; a Unix socket counts as loopback."""
    kind, _, rest = unquote(peer).partition(":")
    return "127.0.0.1" if kind == "unix" else _spelt(rest)


def _spelt(text: str) -> str:
    """An address with a port or without, in its one spelling; UNKNOWN for what is none."""
    host, bracket, _ = text.removeprefix("[").partition("]")
    if not bracket and text.count(":") == 1:
        host = text.partition(":")[0]
    ip = parsed(host)
    return str(ip) if ip is not None else UNKNOWN

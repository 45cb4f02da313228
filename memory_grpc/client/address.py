"""Where a client finds the service: addresses as people write them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from memory_grpc.addresses import bracketed, is_loopback

_TLS = ("https", "grpcs")
_PLAIN = ("http", "grpc")
_PORTS = {"http": 80, "https": 443, "grpc": 50051, "grpcs": 50051}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A host and a port, and whether to use TLS."""

    host: str
    port: int
    tls: bool

    @property
    def target(self) -> str:
        """In the form that gRPC expects: ``host:port``."""
        return f"{bracketed(self.host)}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is this machine, which no proxy can reach."""
        return is_loopback(self.host)


def parse(address: str, *, with_key: bool = False) -> Endpoint:
    """Reads ``host``, ``host:port`` or a URL: ``https`` and ``grpcs`` use TLS, ``http`` and ``grpc`` do not.

    gRPC is also served on the REST port, so a REST URL works. The default port is 80 for http, 443 for https, and 50051
    otherwise.

    Raises:
        ValueError: it is not an address, or contains more than a host and a port; or a key would be sent to another
            machine unencrypted, and no scheme says that this is intended.
    """
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest = "grpc", address
    if scheme not in _TLS + _PLAIN:
        raise ValueError("address: it must start with http://, https://, grpc:// or grpcs://")
    try:
        url = urlsplit(f"//{rest}")
        port = url.port
    except ValueError:
        raise ValueError("address: give host:port, with a port from 1 to 65535") from None
    if not url.hostname or port == 0 or "@" in url.netloc or url.path not in ("", "/") or url.query or url.fragment:
        raise ValueError("address: give only a host and a port, such as http://127.0.0.1:8000")
    endpoint = Endpoint(url.hostname, port or _PORTS[scheme], scheme in _TLS)
    if with_key and not separator and not endpoint.is_local:
        raise ValueError("address: start it with https://, or with http:// if the key may be sent unencrypted")
    return endpoint

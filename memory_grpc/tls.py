"""TLS from files: certificates, keys and CAs as the settings name them, and what those who connect check and show.

Files that do not fit are refused with a sentence. No message holds more of a file than its path.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import grpc

from memory_grpc.errors import StartupError
from memory_grpc.settings import Settings


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with its chain and its key, as PEM files; ``names`` are the variables that name them."""

    cert: Path
    key: Path
    names: tuple[str, str]

    def read(self) -> tuple[bytes, bytes]:
        """The certificate and the key. Raises StartupError when they cannot be read or do not belong together."""
        cert, key = _read(self.cert, self.names[0]), _read(self.key, self.names[1])
        _check_certificates(self.cert, self.names[0])
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.cert, self.key, password=_refuse_password)
        except _Encrypted:
            raise StartupError(f"{self.names[1]}: {self.key} is encrypted; use a key without a password.") from None
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise StartupError(
                    f"{self.names[0]} and {self.names[1]} do not belong together: {self.key} is the key of another "
                    f"certificate than {self.cert}."
                ) from None
            raise StartupError(f"{self.names[1]}: {self.key} contains no private key in PEM format.") from None
        except OSError:  # replaced just now
            raise StartupError(f"{self.names[1]}: {self.key} cannot be read.") from None
        return cert, key


def server_pair(settings: Settings) -> KeyPair | None:
    """What the gRPC port shows, or None for plaintext. Raises StartupError when half of it is set."""
    pair = _pair(settings.tls_cert_file, settings.tls_key_file, names=("MEMORY_TLS_CERT_FILE", "MEMORY_TLS_KEY_FILE"))
    if pair is None and settings.tls_client_ca_file is not None:
        raise StartupError("MEMORY_TLS_CLIENT_CA_FILE needs MEMORY_TLS_CERT_FILE: client certificates need TLS.")
    return pair


def client_pair(settings: Settings) -> KeyPair | None:
    """What Envoy and the commands show to the server, or None. Raises StartupError when half of it is set."""
    return _pair(
        settings.tls_client_cert_file,
        settings.tls_client_key_file,
        names=("MEMORY_TLS_CLIENT_CERT_FILE", "MEMORY_TLS_CLIENT_KEY_FILE"),
    )


def http_pair(settings: Settings) -> KeyPair | None:
    """What Envoy shows to its clients, or None for plaintext. Raises StartupError when half of it is set."""
    return _pair(
        settings.http_tls_cert_file,
        settings.http_tls_key_file,
        names=("MEMORY_HTTP_TLS_CERT_FILE", "MEMORY_HTTP_TLS_KEY_FILE"),
    )


def channel_credentials(settings: Settings) -> grpc.ChannelCredentials:
    """Credentials of a client: MEMORY_TLS_CA_FILE, or the CAs that grpc comes with; and the client's own certificate.

    Raises StartupError with one clear sentence.
    """
    roots = None
    if settings.tls_ca_file is not None:
        roots = read_authorities(settings.tls_ca_file, "MEMORY_TLS_CA_FILE")
    pair = client_pair(settings)
    cert, key = pair.read() if pair else (None, None)
    return grpc.ssl_channel_credentials(roots, key, cert)


def read_authorities(path: Path, name: str) -> bytes:
    """A bundle of CA certificates. Raises StartupError when it cannot be read or holds none."""
    content = _read(path, name)
    _check_certificates(path, name)
    return content


def _pair(cert: Path | None, key: Path | None, *, names: tuple[str, str]) -> KeyPair | None:
    if cert is None and key is None:
        return None
    if cert is None or key is None:
        missing, there = names if cert is None else names[::-1]
        raise StartupError(f"{there} needs {missing}: a certificate and its key go together.")
    return KeyPair(cert, key, names)


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartupError(f"{name}: {path} cannot be read: {error.strerror}.") from None


def _check_certificates(path: Path, name: str) -> None:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError):
        raise StartupError(f"{name}: {path} contains no certificate in PEM format.") from None


class _Encrypted(Exception):
    """A key wants a password."""


def _refuse_password() -> NoReturn:
    raise _Encrypted

"""TLS from files: what the gRPC port shows, whom it lets in, and what those who connect to it check and show.

The server looks at its files at every handshake, so certificates are renewed without a restart: connections that exist
go on, new ones get the new certificate. Files that do not fit are refused at start with a sentence, and left alone,
with an error in the log, while it runs. No message holds more of a file than its path.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import grpc
import structlog

from memory_grpc.errors import StartupError
from memory_grpc.settings import Settings

log = structlog.get_logger(__name__)

Stamp = tuple[tuple[int, int, int] | None, ...]


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
            raise StartupError(f"{self.names[1]}: {self.key} is encrypted; give a key without a password.") from None
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                raise StartupError(
                    f"{self.names[0]} and {self.names[1]} do not belong together: {self.key} is the key of another "
                    f"certificate than {self.cert}."
                ) from None
            raise StartupError(f"{self.names[1]}: {self.key} holds no private key in PEM.") from None
        except OSError:  # replaced just now
            raise StartupError(f"{self.names[1]}: {self.key} cannot be read.") from None
        return cert, key


def server_pair(settings: Settings) -> KeyPair | None:
    """What the gRPC port shows, or None for plaintext. Raises StartupError when half of it is set."""
    pair = _pair(settings.tls_cert_file, settings.tls_key_file, names=("MEMORY_TLS_CERT_FILE", "MEMORY_TLS_KEY_FILE"))
    if pair is None and settings.tls_client_ca_file is not None:
        raise StartupError("MEMORY_TLS_CLIENT_CA_FILE needs MEMORY_TLS_CERT_FILE: clients are asked within TLS only.")
    return pair


def client_pair(settings: Settings) -> KeyPair | None:
    """What Envoy and the commands show to the server, or None. Raises StartupError when half of it is set."""
    return _pair(
        settings.tls_client_cert_file,
        settings.tls_client_key_file,
        names=("MEMORY_TLS_CLIENT_CERT_FILE", "MEMORY_TLS_CLIENT_KEY_FILE"),
    )


def server_credentials(settings: Settings) -> grpc.ServerCredentials | None:
    """Credentials of the gRPC port, or None for plaintext. Raises StartupError with one clear sentence."""
    pair = server_pair(settings)
    if pair is None:
        return None
    files = _ServerFiles(pair, settings.tls_client_ca_file)
    return grpc.dynamic_ssl_server_credentials(
        files.load(),
        files.changed,  # type: ignore[arg-type]  # the stubs forget None: nothing new
        require_client_authentication=settings.tls_client_ca_file is not None,
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


class _ServerFiles:
    """The server's files, loaded again when one of them is another than before. grpc asks from threads of its own."""

    def __init__(self, pair: KeyPair, client_ca: Path | None) -> None:
        self._pair = pair
        self._client_ca = client_ca
        self._stamp: Stamp = ()
        self._lock = threading.Lock()

    def load(self) -> grpc.ServerCertificateConfiguration:
        """Reads them. The stamp is older than what is read, so that what changes meanwhile is read once more."""
        self._stamp = self._look()
        cert, key = self._pair.read()
        roots = None
        if self._client_ca is not None:
            roots = read_authorities(self._client_ca, "MEMORY_TLS_CLIENT_CA_FILE")
        return grpc.ssl_server_certificate_configuration([(key, cert)], roots)

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """At each handshake: the new files, or None to go on with what there is."""
        with self._lock:
            if self._look() == self._stamp:
                return None
            try:
                configuration = self.load()
            except StartupError as error:
                log.error("certificates_refused", reason=str(error))
                return None
            log.info("certificates_renewed")
            return configuration

    def _look(self) -> Stamp:
        return tuple(_stamp(path) for path in (self._pair.cert, self._pair.key, self._client_ca) if path is not None)


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
        raise StartupError(f"{name}: {path} holds no certificate in PEM.") from None


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


class _Encrypted(Exception):
    """A key wants a password."""


def _refuse_password() -> NoReturn:
    raise _Encrypted

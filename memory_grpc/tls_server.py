"""TLS of the gRPC port: what it shows and whom it lets in.

The server looks at its files at every handshake, so certificates are renewed without a restart: connections that exist
go on, new ones get the new certificate. Files that do not fit are refused at start with a sentence, and left alone,
with an error in the log, while it runs.
"""

from __future__ import annotations

import threading
from pathlib import Path

import grpc
import structlog

from memory_grpc.errors import StartupError
from memory_grpc.settings import Settings
from memory_grpc.tls import KeyPair, read_authorities, server_pair

log = structlog.get_logger(__name__)

Stamp = tuple[tuple[int, int, int] | None, ...]


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


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size

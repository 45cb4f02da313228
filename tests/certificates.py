"""Certificates that the tests make: a CA, what it signs, and files of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme


@dataclass(frozen=True, slots=True)
class Files:
    """A certificate with its key, as PEM files."""

    cert: Path
    key: Path


def put_in_place(new: Files, old: Files) -> None:
    """As `mv` does it, the key first: Envoy looks when a file has come."""
    new.key.replace(old.key)
    new.cert.replace(old.cert)


class Authority:
    """A CA whose certificates are written into a directory."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._name = name
        self._ca = trustme.CA()
        self.file = directory / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(self, *names: str, file: str, expired: bool = False) -> Files:
        """A certificate for these names, ``file``.pem and ``file``.key."""
        ends = datetime.now(UTC) - timedelta(days=1) if expired else None
        starts = datetime.now(UTC) - timedelta(days=2) if expired else None
        issued = self._ca.issue_cert(*names, not_after=ends, not_before=starts)
        files = Files(self._directory / f"{file}.pem", self._directory / f"{file}.key")
        files.key.touch(mode=0o600)
        issued.private_key_pem.write_to_path(str(files.key))
        files.cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return files

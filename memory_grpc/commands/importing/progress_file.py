"""What an import has done, kept where a later run finds it: one small JSON file, replaced in one step."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.records import Mark

_VERSION = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """Everything up to ``number`` is done; ``message_id`` of ``tenant_id`` is a message that the server then had."""

    number: int
    digest: str
    tenant_id: str
    message_id: str

    @property
    def mark(self) -> Mark:
        """The place in the file."""
        return Mark(self.number, self.digest)


class ProgressFile:
    """The progress of one file into one service."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, file: Path, address: str, format_name: str) -> ProgressFile:
        """In the state directory of the user (``$XDG_STATE_HOME/memory-grpc/imports``), named by file and address."""
        home = os.environ.get("XDG_STATE_HOME") or str(Path("~/.local/state").expanduser())
        name = hashlib.sha256("\0".join((str(file.resolve()), address, format_name)).encode()).hexdigest()[:24]
        return cls(Path(home) / "memory-grpc" / "imports" / f"{file.name[:64]}.{name}.json")

    def load(self) -> Progress | None:
        """What was saved, or None. Raises CommandError when it cannot be read."""
        try:
            value = json.loads(self.path.read_bytes())
            version = value.pop("version")
            progress = Progress(**value)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            version = None
        if version != _VERSION:
            raise CommandError(f"The progress file {self.path} cannot be read: start over with --restart.")
        return progress

    def save(self, progress: Progress) -> None:
        """Replaces what was saved: a process killed at any moment leaves the old or the new, never half."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=self.path.parent, prefix=".import-", delete=False) as file:
            json.dump({"version": _VERSION, **asdict(progress)}, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            Path(file.name).replace(self.path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise

    def forget(self) -> None:
        """Removes what was saved."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()

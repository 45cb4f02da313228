"""Private directories for unix sockets, whose paths the kernel limits to about a hundred bytes."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from memory_grpc.errors import StartupError

_LONGEST = 100  # 107 on Linux, 103 on macOS


def directory(wanted: Path, name: str, *, owner: int | None = None) -> Path:
    """A directory, mode 0700, where a socket called ``name`` can be bound: ``wanted``, or one in the temporary one.

    The latter's name is a hash of ``wanted``, so the next run finds what this one left. ``owner``, for root, is the
    user that it is given to.
    """
    wanted = wanted.absolute()
    if len(os.fsencode(wanted / name)) > _LONGEST:
        digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
        wanted = Path(tempfile.gettempdir()) / f"memory-layer-{os.geteuid()}-{digest}"
        if len(os.fsencode(wanted / name)) > _LONGEST:
            raise StartupError(f"The path {wanted} is too long for a unix socket: set TMPDIR to a shorter one.")
    wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check(wanted, {os.geteuid()} if owner is None else {os.geteuid(), owner})
    wanted.chmod(0o700)
    if owner is not None:
        os.chown(wanted, owner, -1)
    return wanted


def _check(path: Path, owners: set[int]) -> None:
    """In a temporary directory anybody may have been here first."""
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in owners:
        raise StartupError(f"{path} belongs to someone else: remove it, or set TMPDIR to a directory of your own.")

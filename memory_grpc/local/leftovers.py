"""Postgres processes that an earlier run left on a data directory when it was killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from memory_grpc.errors import StartupError

_PROC = Path("/proc")


def end(data: Path) -> None:
    """Ends what still runs on ``data`` and removes its lock file; the caller holds the lock that makes this safe.

    A postmaster is asked for a fast shutdown, the way its parent's death asks it. Without a postmaster, single backends
    go by themselves; whatever stays is killed, and the write-ahead log makes that safe. Only when nobody is left may
    ``postmaster.pid`` go: it is what keeps a second postmaster from the same files.
    """
    if not (_PROC / "self").exists():
        return  # Not Linux: Postgres looks at its lock file itself, and refuses to start when in doubt.
    started = time.monotonic()
    asked: set[tuple[int, signal.Signals]] = set()
    while pids := _on(data):
        waited = time.monotonic() - started
        if waited > 30:
            raise StartupError(f"Postgres processes of an earlier run on {data} cannot be stopped: {pids}.")
        for pid in pids:
            number = signal.SIGKILL if waited > 10 else signal.SIGINT
            if (number is signal.SIGKILL or pid == _postmaster(data)) and (pid, number) not in asked:
                asked.add((pid, number))
                _send(pid, number)
        time.sleep(0.02)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _on(data: Path) -> list[int]:
    """The Postgres processes whose working directory is ``data``: every one of them changes there at its start."""
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            here = Path.samefile(entry / "cwd", data) and (entry / "comm").read_text().startswith("postgres")
            if here and "Z" not in (entry / "stat").read_text().rpartition(")")[2].split()[0]:
                found.append(int(entry.name))
        except OSError:  # gone meanwhile, or another user's
            continue
    return found


def _postmaster(data: Path) -> int | None:
    try:
        return int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return

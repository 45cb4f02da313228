"""The unprivileged account that Postgres runs as when this process is root, since Postgres refuses to run as root."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAME = "memory-postgres"

_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 1, 2


@dataclass(frozen=True, slots=True)
class Account:
    """A user to run as. ``capability`` is the one it keeps of root's, to reach its files below a private directory."""

    uid: int
    gid: int
    capability: int | None = None


def for_paths(directory: Path, program: Path) -> Account | None:
    """The account to run ``program`` on ``directory`` as; None when this process is not root and needs none.

    A checkout below ``/root`` is closed to every other user. Rather than opening other people's directories, the
    account then keeps the right to read and search past permissions (in a container without it, the wider right that
    containers give).
    """
    if os.geteuid() != 0:
        return None
    entry = _entry()
    if _open_to_all(directory.parent) and _open_to_all(program):
        return Account(entry.pw_uid, entry.pw_gid)
    executable = bool(program.stat().st_mode & stat.S_IXOTH)
    narrow = executable and _permitted() & 1 << _CAP_DAC_READ_SEARCH
    return Account(entry.pw_uid, entry.pw_gid, _CAP_DAC_READ_SEARCH if narrow else _CAP_DAC_OVERRIDE)


def own(path: Path, account: Account | None) -> None:
    """Makes ``path`` and all below it the account's; the top comes last, so an interrupted change is done again."""
    if account is None or path.lstat().st_uid == account.uid:
        return
    for directory, names, files in os.walk(path, topdown=False):
        for name in (*names, *files):
            os.chown(Path(directory, name), account.uid, account.gid, follow_symlinks=False)
    os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _entry() -> pwd.struct_passwd:
    """The account, made when it is not there; ``nobody`` where accounts cannot be made."""
    for attempt in (1, 2):
        try:
            return pwd.getpwnam(NAME)
        except KeyError:
            if attempt == 1:
                _make()
    return pwd.getpwnam("nobody")


def _make() -> None:
    command = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", NAME]
    try:
        subprocess.run(command, check=False, capture_output=True, timeout=30)
    except OSError:  # no useradd here
        return


def _open_to_all(path: Path) -> bool:
    wanted = stat.S_IXOTH if path.is_dir() else stat.S_IXOTH | stat.S_IROTH
    return path.stat().st_mode & wanted == wanted and all(up.stat().st_mode & stat.S_IXOTH for up in path.parents)


def _permitted() -> int:
    """The capabilities this process has, as a bit mask; none where the kernel does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1], 16) for line in lines if line.startswith("CapPrm:")), 0)

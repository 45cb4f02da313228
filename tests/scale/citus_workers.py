"""The workers of a cluster on this machine: which tenants they hold, one that dies and comes back, shards that move."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

_PLACES = """
    select p.nodename::text, p.nodeport
    from pg_dist_shard_placement p
    where p.shardid = get_shard_id_for_distribution_column('messages', %s::text)
"""
_WORKERS = "select nodename::text, nodeport from pg_dist_node where groupid > 0 order by groupid"
_MOVE = (
    "select citus_move_shard_placement(get_shard_id_for_distribution_column('messages', %s::text), %s, %s, %s, %s, %s)"
)


@dataclass(frozen=True, slots=True)
class Worker:
    """A node that holds shards."""

    host: str
    port: int


def run(dsn: str, query: str, *params: object) -> list[tuple[Any, ...]]:
    """Runs SQL as an operator."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(query.encode(), params or None)
        return cursor.fetchall() if cursor.description else []


def workers(dsn: str) -> list[Worker]:
    """All of a cluster, in the order in which they were added."""
    return [Worker(*row) for row in run(dsn, _WORKERS)]


def place(dsn: str, tenant: str) -> Worker:
    """Where a tenant lies."""
    ((host, port),) = run(dsn, _PLACES, tenant)
    return Worker(host, port)


def move(dsn: str, tenant: str, to: Worker) -> None:
    """Moves the shards that a tenant lies in to another worker, while they are read and written."""
    came = place(dsn, tenant)
    run(dsn, _MOVE, tenant, came.host, came.port, to.host, to.port, "force_logical")


class Process:
    """The server of a worker, which somebody else has started on this machine; needs its user's rights, or root's."""

    def __init__(self, dsn: str, worker: Worker) -> None:
        """``dsn`` leads to the coordinator. Raises FileNotFoundError when the worker is on another machine."""
        self._dsn = make_conninfo(dsn, host=worker.host, port=worker.port, connect_timeout=2)
        ((directory,),) = run(self._dsn, "show data_directory")
        self._pid_file = Path(directory) / "postmaster.pid"
        pid = int(self._pid_file.read_text().split()[0])
        proc = Path(f"/proc/{pid}")
        self._command = [part.decode() for part in (proc / "cmdline").read_bytes().split(b"\0") if part]
        self._command[0] = str((proc / "exe").readlink())
        variables = (proc / "environ").read_bytes().decode().split("\0")
        self._environment = dict(one.split("=", 1) for one in variables if "=" in one)
        self._directory = directory
        self._owner = self._pid_file.stat()

    def kill(self) -> None:
        """Ends it as a machine does that is switched off."""
        pid = int(self._pid_file.read_text().split()[0])
        os.kill(pid, signal.SIGSTOP)  # it has no more children from here on
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for process in (pid, *children):
            with suppress(ProcessLookupError):  # a connection that has ended meanwhile
                os.kill(process, signal.SIGKILL)
        while any(_lives(process) for process in (pid, *children)):
            time.sleep(0.01)
        # Whoever should have taken the note of its end may not do so.
        self._pid_file.unlink()

    def start(self) -> None:
        """Starts it as it was started before, and returns when it lets in."""
        deadline = time.monotonic() + 60
        while True:
            # It refuses to start while a part of the one before still ends.
            if not self._is_there():
                self._spawn()
            try:
                run(self._dsn, "select 1")
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, "the worker does not come back"
                time.sleep(0.1)
            else:
                return

    def _is_there(self) -> bool:
        try:
            return _lives(int(self._pid_file.read_text().split()[0]))
        except (FileNotFoundError, IndexError):
            return False

    def _spawn(self) -> None:
        # By a program: Python would fork for it, which a process in which gRPC runs does not survive.
        owner = ["setpriv", f"--reuid={self._owner.st_uid}", f"--regid={self._owner.st_gid}", "--clear-groups"]
        subprocess.run(
            [*(owner if self._owner.st_uid != os.getuid() else []), "setsid", "--fork", *self._command],
            env=self._environment,
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )


def _lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False

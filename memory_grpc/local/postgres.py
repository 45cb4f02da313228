"""The embedded Postgres: a real server with pgvector, kept in a directory, as a child of this process.

Made to be killed: fsync, full_page_writes and synchronous_commit stay on, so what was committed is there after any end,
and whatever an earlier run left (a half-made directory, a lock file, a postmaster) is put in order at the next start.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from memory_grpc import libpq_environment
from memory_grpc.errors import StartupError
from memory_grpc.local import account, child, cluster, leftovers, sockets

DATABASE = "memory"

_SOCKET = ".s.PGSQL.5432"

# On the command line, where they win over postgresql.conf and ALTER SYSTEM.
_OPTIONS = {
    "listen_addresses": "",  # the socket only
    "port": "5432",  # part of the socket's name, nothing else
    "unix_socket_permissions": "0700",
    # An acknowledged message is on disk. Also the defaults; said here so that nobody's file can say otherwise.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # For a machine of two cores that also runs the model.
    "max_connections": "100",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "maintenance_work_mem": "256MB",  # one tenant's HNSW graph is built in memory
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",  # disks without heads
    # A search takes milliseconds: compiling it or handing it to more processes takes longer than running it.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # No statements in the log: they hold what people said.
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}


class EmbeddedPostgres:
    """One Postgres on one directory; ``options`` are settings of the server that go before the usual ones.

    ``start`` and ``stop`` block, may be called from any thread, and may be repeated.
    """

    def __init__(self, data_dir: Path, options: Mapping[str, str] | None = None) -> None:
        self._home = data_dir.absolute()
        self._options = _OPTIONS | dict(options or {})
        self._data = self._home / "postgres"
        self.log = self._home / "postgres.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    def start(self, timeout_seconds: float = 60.0) -> str:
        """Starts the server, makes the database on first use, and returns its conninfo once it answers.

        Raises StartupError when another process runs on the directory, when the directory cannot be used, and when the
        server does not answer in ``timeout_seconds`` (recovery after a crash counts).
        """
        libpq_environment.forget_all()
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            self._take_lock()
        except OSError as error:
            raise StartupError(f"The data directory {self._home} cannot be used: {error.strerror}.") from None
        try:
            return self._start(time.monotonic() + timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def poll(self) -> int | None:
        """The exit code of the server, or None while it runs (or was never started)."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, or None when it was not started."""
        return None if self._process is None else self._process.pid

    def stop(self) -> None:
        """Stops the server: connections are closed, everything is written, and the next start needs no recovery."""
        if self._process is not None:
            child.end(self._process, (signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0))  # fast, then immediate shutdown
            self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _start(self, deadline: float) -> str:
        program = cluster.binaries() / "postgres"
        user = account.for_paths(account.POSTGRES, self._data, program)
        if self._data.exists():
            leftovers.end(self._data)
        cluster.ensure(self._data, self.log, user)
        directory = sockets.directory(self._home / "run", _SOCKET, owner=user.uid if user else None)
        for name in (_SOCKET, f"{_SOCKET}.lock"):
            (directory / name).unlink(missing_ok=True)
        options = {**self._options, "unix_socket_directories": f'"{directory}"'}
        offset = self.log.stat().st_size
        self._process = child.spawn(
            [
                program,
                "-D",
                self._data,
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
            ],
            log=self.log,
            death_signal=signal.SIGINT,  # a fast shutdown
            account=user,
        )
        server = make_conninfo(host=str(directory), port=5432, user=cluster.SUPERUSER)
        with self._connect(make_conninfo(server, dbname="postgres"), offset, deadline) as connection:
            _ensure_database(connection)
        return make_conninfo(server, dbname=DATABASE)

    def _connect(self, conninfo: str, offset: int, deadline: float) -> psycopg.Connection[tuple[object, ...]]:
        while True:
            try:
                return psycopg.connect(conninfo, autocommit=True, connect_timeout=5)
            except psycopg.OperationalError:
                pass  # not listening yet, or replaying its log
            if self.poll() is not None:
                words = child.last_words(self.log, offset=offset, marks=("FATAL:", "PANIC:", "Error:"))
                raise StartupError(f"The embedded Postgres did not start, see {self.log}. {words}".strip())
            if time.monotonic() > deadline:
                raise StartupError(f"The embedded Postgres did not answer in time, see {self.log}.")
            time.sleep(0.02)

    def _take_lock(self) -> None:
        """Held until ``stop`` or the end of this process, whatever ends it; children do not inherit it."""
        if self._lock is not None:
            raise StartupError(f"The embedded Postgres on {self._home} is already started.")
        descriptor = os.open(self._home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise StartupError(
                f"The data directory {self._home} is in use by another run: stop that one, or set MEMORY_DATA_DIR."
            ) from None
        self._lock = descriptor


def _ensure_database(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    if connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))

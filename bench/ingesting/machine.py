"""What is measured: a real Postgres, the server and Envoy, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import psycopg
from evaluate import free_port, wait_serving

from memory_grpc.local.envoy import EnvoyProcess
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


class Server:
    """``memory-grpc serve`` with the defaults, but for the rate limit and the scheduler, which are switched off."""

    def __init__(self, dsn: str, directory: Path, **variables: object) -> None:
        self.grpc_port, self.metrics_port = free_port(), free_port()
        self.dsn = dsn
        self._log = directory / f"server-{self.grpc_port}.log"
        environment = {
            "DATABASE_URL": dsn,
            "GRPC_PORT": self.grpc_port,
            "METRICS_PORT": self.metrics_port,
            "GLOBAL_RATE_LIMIT": "",
            "RETENTION_SCHEDULE_SECONDS": 0,
        } | variables
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_")}
        with self._log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "memory_grpc", "serve"],
                env=clean
                | {"PYTHONPATH": f"{ROOT}:{ROOT / 'gen'}"}
                | {f"MEMORY_{name}": str(value) for name, value in environment.items()},
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def address(self) -> str:
        """host:port of gRPC."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def pid(self) -> int:
        """The process, for profilers."""
        return self._process.pid

    @property
    def rss_mb(self) -> float:
        """Resident memory, in units of 10^6 bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    @property
    def peak_mb(self) -> float:
        """The most resident memory it ever had, in the same unit."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6

    @property
    def cpu_seconds(self) -> float:
        """Processor time that the server has used."""
        return sum(_stat(self.pid)[11:13]) / os.sysconf("SC_CLK_TCK")

    def wait(self) -> None:
        """Returns once it serves."""
        wait_serving(self.address, self._process)

    def close(self) -> None:
        """Drains and ends it."""
        self._process.terminate()
        self._process.wait(60)


def url(conninfo: str) -> str:
    """What an embedded Postgres is reached by, as the server wants it."""
    parts = dict(part.split("=", 1) for part in conninfo.split())
    return f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"


@contextmanager
def machine(directory: Path) -> Iterator[tuple[str, int]]:
    """A Postgres for the length of the block: its DSN, as a URL, and its process id."""
    postgres = EmbeddedPostgres(directory)
    try:
        dsn = url(postgres.start())
        assert postgres.pid is not None, "it was started"
        yield dsn, postgres.pid
    finally:
        postgres.stop()


@contextmanager
def database(dsn: str, name: str) -> Iterator[str]:
    """A database of its own on that Postgres."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f'create database "{name}"'.encode())
        try:
            yield dsn.replace("@/" + dsn.partition("@/")[2].partition("?")[0], f"@/{name}")
        finally:
            connection.execute(f'drop database "{name}" with (force)'.encode())


@contextmanager
def serving(dsn: str, directory: Path, **variables: object) -> Iterator[Server]:
    """A server that serves."""
    server = Server(dsn, directory, **variables)
    try:
        server.wait()
        yield server
    finally:
        server.close()


@contextmanager
def envoy(server: Server, directory: Path) -> Iterator[str]:
    """Envoy in front of a server; the URL of its REST interface."""
    with envoy_process(server, directory) as (address, _):
        yield f"http://{address}"


@contextmanager
def envoy_process(server: Server, directory: Path) -> Iterator[tuple[str, int]]:
    """The same: host:port, and the process id."""
    settings = Settings(
        _env_file=None, grpc_port=server.grpc_port, metrics_port=server.metrics_port, http_port=free_port()
    )
    process = EnvoyProcess(settings, directory / "envoy")
    try:
        process.start()
        process.wait_ready()
        assert process.pid is not None, "it was started"
        yield f"127.0.0.1:{settings.http_port}", process.pid
    finally:
        process.stop(0.0)


def family_cpu_seconds(pid: int) -> float:
    """Processor time of a process and of its children, those that have ended included."""
    ticks = sum(_stat(pid)[11:15])
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with suppress(OSError):  # it has ended just now
                fields = _stat(int(process.name))
                ticks += sum(fields[11:13]) if fields[1] == pid else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[int]:
    """The numbers of /proc/<pid>/stat, from the state (as 0) on."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [0, *map(int, fields[1:])]


class Memory:
    """Resident memory of a server over time, looked at while the block runs."""

    def __init__(self, server: Server, every_seconds: float = 0.25) -> None:
        self._server = server
        self._every = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.samples: list[tuple[float, float]] = []

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        started = time.monotonic()
        while not self._stop.wait(self._every):
            self.samples.append((time.monotonic() - started, self._server.rss_mb))


def count(dsn: str, query: str, *params: object) -> int:
    """A number, looked up beside the service."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(query.encode(), params or None).fetchone()
    return int(row[0]) if row else 0


def channel(server: Server) -> grpc.aio.Channel:
    """A connection of its own to a server."""
    return grpc.aio.insecure_channel(
        server.address, options=[("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
    )

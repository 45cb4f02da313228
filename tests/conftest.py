"""What the tests stand on: one real Postgres a session, one database a test cloned from a migrated template, and
servers that are the real thing but for the `hashing` embedder."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from typing import Any

import grpc
import httpx
import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.conninfo import make_conninfo

from memory_grpc.app import Application, running
from memory_grpc.local.envoy import EnvoyProcess
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.observability.logging import configure
from memory_grpc.settings import Settings
from memory_grpc.store.database import Database
from memory_grpc.store.migrations import migrate
from tests.cli import Cli
from tests.stubs import Stubs

TEMPLATE = "memory_template"
_numbers = itertools.count()
# Below those that kernels give to outgoing connections; and by chance, because another run may look for some, too. Each
# process of pytest-xdist has its own.
_WORKER, _WORKERS = os.environ.get("PYTEST_XDIST_WORKER", "gw0"), os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")
_PORTS, _chance = range(10_000 + int(_WORKER.removeprefix("gw")), 32_000, int(_WORKERS)), SystemRandom()
_given: set[int] = set()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no .env of the developer's reaches a test, nor the size of a terminal."""
    for name in list(os.environ):
        if name.startswith("MEMORY_") or name in ("COLUMNS", "LINES"):
            monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


@pytest.fixture(scope="session", autouse=True)
def _quiet_logs() -> None:
    """Logs as the service writes them, from WARNING up."""
    configure("WARNING", "json")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Postgres with pgvector, for the whole session; the value is the DSN of its `postgres` database."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres"))
    try:
        yield server.start()
    finally:
        server.stop()


@pytest.fixture(scope="session")
def template(postgres: str) -> str:
    """A migrated database that others are cloned from; the value is the server's DSN."""
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
    migrate(make_conninfo(postgres, dbname=TEMPLATE))
    return postgres


def _database(postgres: str, template: str) -> Iterator[str]:
    name = f"memory_test_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    yield make_conninfo(postgres, dbname=name)
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def empty_dsn(postgres: str) -> Iterator[str]:
    """A database with nothing in it, not even the extension."""
    yield from _database(postgres, "template0")


@pytest.fixture
def dsn(template: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    yield from _database(template, TEMPLATE)


@pytest.fixture
def other_dsn(template: str) -> Iterator[str]:
    """Another migrated database."""
    yield from _database(template, TEMPLATE)


@asynccontextmanager
async def pool(dsn: str, size: int = 4, timeout_seconds: float = 5.0) -> AsyncIterator[Database]:
    """A pool of so many connections, open inside the block."""
    database = Database(dsn, min_size=1, max_size=size, max_waiting=10, timeout_seconds=timeout_seconds)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@pytest_asyncio.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """The pool over the test's own database."""
    async with pool(dsn) as opened:
        yield opened


@pytest.fixture
def rows(dsn: str) -> Callable[..., list[tuple[Any, ...]]]:
    """Runs SQL beside the service and returns its rows: for looking, and for faults."""

    def run(query: str, *params: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(dsn, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), params)
            return cursor.fetchall() if cursor.description else []

    return run


def free_port() -> int:
    """A port of loopback that nobody listens on now, and that no outgoing connection is given: any might be given one
    of theirs before the server that is to have it starts."""
    while True:
        port = _chance.choice(_PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


def settings_for_tests(**changes: Any) -> Settings:
    """Hashing embedder, free ports, no rate limit, no scheduler; each can be changed."""
    values: dict[str, Any] = {
        "embedding_provider": "hashing",
        "grpc_port": 0,
        "metrics_port": 0,
        "http_port": free_port(),
        "global_rate_limit": "",
        "retention_schedule_seconds": 0,
        "log_level": "WARNING",
        "drain_seconds": 2.0,
    }
    return Settings(**(values | changes))


@dataclass
class RunningServer(Stubs):
    """A server that serves, and clients of it."""

    application: Application
    settings: Settings
    dsn: str

    @property
    def grpc_address(self) -> str:
        """host:port of the gRPC server."""
        return f"127.0.0.1:{self.application.grpc_port}"

    @property
    def database(self) -> Database:
        """The server's own pool."""
        return self.application.database


StartServer = Callable[..., AbstractAsyncContextManager[RunningServer]]


@pytest.fixture
def start_server(dsn: str) -> StartServer:
    """Starts a real server in this process on the test's own database, or another, with the settings given."""

    @asynccontextmanager
    async def start(on: str = dsn, /, **changes: Any) -> AsyncIterator[RunningServer]:
        settings = settings_for_tests(**changes)
        async with (
            running(settings, on) as application,
            grpc.aio.insecure_channel(f"127.0.0.1:{application.grpc_port}") as channel,
        ):
            yield RunningServer(channel, application, settings, on)

    return start


@dataclass
class RunningRest:
    """A server behind a real Envoy, and an HTTP client of it."""

    server: RunningServer
    http: httpx.AsyncClient


StartRest = Callable[..., AbstractAsyncContextManager[RunningRest]]


@asynccontextmanager
async def envoy_running(settings: Settings, directory: Path) -> AsyncIterator[tuple[EnvoyProcess, httpx.AsyncClient]]:
    """A real Envoy while the block runs, and an HTTP client of it."""
    envoy = EnvoyProcess(settings, directory)
    try:
        await asyncio.to_thread(envoy.start)
        await asyncio.to_thread(envoy.wait_ready)
        base = f"http://127.0.0.1:{settings.http_port}"
        async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as http:
            yield envoy, http
    finally:
        await asyncio.to_thread(envoy.stop, 0.0)


@pytest.fixture
def start_rest(start_server: StartServer, tmp_path: Path) -> StartRest:
    """Starts a server and a real Envoy in front of it, with the settings given."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[RunningRest]:
        ports = {"grpc_port": free_port(), "metrics_port": free_port(), "http_port": free_port()}
        async with (
            start_server(**(ports | changes)) as server,
            envoy_running(server.settings, tmp_path / "envoy") as (_, http),
        ):
            yield RunningRest(server, http)

    return start


@pytest_asyncio.fixture
async def rest(start_rest: StartRest) -> AsyncIterator[RunningRest]:
    """REST with the test defaults."""
    async with start_rest() as started:
        yield started


@pytest_asyncio.fixture
async def server(start_server: StartServer) -> AsyncIterator[RunningServer]:
    """A server with the test defaults."""
    async with start_server() as started:
        yield started


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command line, in a folder of the test's own."""
    return Cli(tmp_path)

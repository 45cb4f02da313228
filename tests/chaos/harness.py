"""Real processes to break, a proxy that cuts, clients that remember what was acknowledged, and a place for results."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import psycopg
from grpc_health.v1 import health_pb2, health_pb2_grpc

from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import free_port
from tests.stubs import Stubs

AsyncTest = Callable[..., Awaitable[None]]
Test = Callable[..., None]

ROOT = Path(__file__).parents[2]
TRY_AGAIN = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
CHANNEL_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2000),  # what a try to connect gets: a busy machine needs more than a moment
    ("grpc.max_reconnect_backoff_ms", 300),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),  # the tests retry themselves, and count
    ("grpc.use_local_subchannel_pool", 1),  # a channel is a connection
]


def rounds(name: str, short: int) -> int:
    """How often an item is tried: CHAOS_<NAME>, or the short form's number."""
    return int(os.environ.get(f"CHAOS_{name}", short))


class Result:
    """What an item tried, and what held."""

    def __init__(self) -> None:
        self.tried = 0
        self.held = 0
        self.note = ""


@contextmanager
def item(number: int, name: str) -> Iterator[Result]:
    """Times an item and writes its line into CHAOS_RESULTS, if that is set.

    Also when the block raises; then something did not hold, whatever was counted until there.
    """
    result, started = Result(), time.monotonic()
    try:
        yield result
    except BaseException:
        result.tried = max(result.tried, 1)
        result.held = min(result.held, result.tried - 1)
        raise
    finally:
        if file := os.environ.get("CHAOS_RESULTS"):
            line = {
                "item": number,
                "name": name,
                "tried": result.tried,
                "held": result.held,
                "seconds": round(time.monotonic() - started, 1),
                "note": result.note,
            }
            with Path(file).open("a", encoding="utf-8") as out:
                out.write(json.dumps(line) + "\n")


def reported(number: int, name: str) -> Callable[[AsyncTest], AsyncTest]:
    """Reports a test as one thing that an item tried."""

    def decorate(test: AsyncTest) -> AsyncTest:
        @wraps(test)
        async def run(*arguments: Any, **fixtures: Any) -> None:
            with item(number, name) as result:
                result.tried += 1
                await test(*arguments, **fixtures)
                result.held += 1

        return run

    return decorate


def reported_each(number: int, name: str) -> Callable[[Test], Test]:
    """The same for a test that is no coroutine."""

    def decorate(test: Test) -> Test:
        @wraps(test)
        def run(*arguments: Any, **fixtures: Any) -> None:
            with item(number, name) as result:
                result.tried += 1
                test(*arguments, **fixtures)
                result.held += 1

        return run

    return decorate


async def until(holds: Callable[[], Any], seconds: float = 10.0, what: object = "") -> Any:
    """Polls until ``holds()`` (awaited, if need be) is true and returns it; AssertionError when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        value = holds()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what or holds}"
        await asyncio.sleep(0.02)


class ServerProcess:
    """``memory-grpc serve`` as a process of its own, on ports that stay the same over restarts."""

    command: tuple[str, ...] = ("-m", "memory_grpc", "serve")
    """What Python runs."""

    def __init__(self, dsn: str, directory: Path, **variables: object) -> None:
        self.grpc_port, self.metrics_port = free_port(), free_port()
        self.output = directory / f"server-{self.grpc_port}.log"
        self._directory = directory
        self._variables = {
            "DATABASE_URL": dsn,
            "GRPC_PORT": self.grpc_port,
            "METRICS_PORT": self.metrics_port,
            "EMBEDDING_PROVIDER": "hashing",
            "GLOBAL_RATE_LIMIT": "",
            "RETENTION_SCHEDULE_SECONDS": 0,
            "LOG_LEVEL": "WARNING",
            "DRAIN_SECONDS": 5,
        } | variables
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """host:port of gRPC."""
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def text(self) -> str:
        """All it has written, stdout and stderr."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def spawn(self) -> None:
        """Starts the process and does not wait for it to serve."""
        assert self.process is None or self.process.poll() is not None
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_")}
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, *self.command],
                env=clean
                | {"PYTHONPATH": os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)}
                | {f"MEMORY_{name}": str(value) for name, value in self._variables.items()},
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    async def start(self) -> None:
        """Starts the process and returns once it is SERVING."""
        self.spawn()
        async with connected(self.address) as client:
            await until(lambda: self.serves(client), 30, "SERVING")

    async def serves(self, client: Client) -> bool:
        """Whether it does. AssertionError, with what it said, where it has ended: another may listen on its port."""
        self.assert_runs()
        return await client.is_serving()

    def assert_runs(self) -> None:
        """AssertionError, with what it said, where it has ended by itself."""
        assert self.is_running, f"it has ended: {self.text[-2000:]}"

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.process is not None and self.process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to this process."""
        assert self.process is not None
        os.kill(self.process.pid, number)

    async def kill(self) -> None:
        """SIGKILL, and waits for the end."""
        self.send(signal.SIGKILL)
        await self.ended()

    async def ended(self, seconds: float = 30.0) -> int:
        """The exit code, once the process has ended."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, seconds)

    def close(self) -> None:
        """Leaves nothing running."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@asynccontextmanager
async def serving(
    dsn: str, directory: Path, *, command: tuple[str, ...] = ServerProcess.command, **variables: object
) -> AsyncIterator[ServerProcess]:
    """A server process that serves."""
    server = ServerProcess(dsn, directory, **variables)
    server.command = command
    try:
        await server.start()
        yield server
    finally:
        server.close()


@dataclass
class Client(Stubs):
    """A channel of its own and the stubs over it."""

    health: Any

    async def is_serving(self) -> bool:
        """Whether the health service says SERVING; False also when nobody answers."""
        with suppress(grpc.aio.AioRpcError):
            answer = await self.health.Check(health_pb2.HealthCheckRequest(), timeout=2)
            return answer.status == health_pb2.HealthCheckResponse.SERVING
        return False


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Client]:
    """A client with a connection of its own."""
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        yield Client(channel, health_pb2_grpc.HealthStub(channel))


def message(content: str, **fields: Any) -> pb.IngestMessageRequest:
    """A valid message."""
    return pb.IngestMessageRequest(
        **({"tenant_id": "chaos", "conversation_id": "c", "role": "user", "content": content} | fields)
    )


@dataclass
class Load:
    """Clients that ingest one message after the other, and send each again until it is acknowledged."""

    address: str
    clients: int = 32
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Content to id; every content is unique."""
    failures: Counter[grpc.StatusCode] = field(default_factory=Counter)
    """Codes the clients saw."""
    texts: set[str] = field(default_factory=set)
    stopping: bool = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        """Runs inside the block; at its end every client gets its last message acknowledged."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.clients):
                group.create_task(self._client(number))
            try:
                yield self
            finally:
                self.stopping = True

    async def more(self, count: int, seconds: float = 30.0) -> None:
        """Returns when ``count`` more messages have been acknowledged."""
        goal = len(self.acknowledged) + count
        await until(lambda: len(self.acknowledged) >= goal, seconds, f"{count} acknowledgements; {self.failures}")

    async def _client(self, number: int) -> None:
        async with connected(self.address) as client:
            sequence = 0
            while not self.stopping:
                request = message(f"client {number} message {sequence}", request_id=str(uuid4()))
                self.acknowledged[request.content] = await self._insist(client, request)
                sequence += 1

    async def _insist(self, client: Client, request: pb.IngestMessageRequest) -> str:
        deadline = time.monotonic() + 60
        while True:
            try:
                return str((await client.memory.IngestMessage(request, timeout=10)).id)
            except grpc.aio.AioRpcError as error:
                self.failures[error.code()] += 1
                self.texts.add(f"{error.code().name}: {error.details()}")
                assert time.monotonic() < deadline, f"no acknowledgement in 60 s: {error.details()}"
                await asyncio.sleep(0.05)


def fetch(dsn: str, query: str, *params: object) -> list[tuple[Any, ...]]:
    """Rows, looked up beside the service."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return rows_of(connection, query, *params)


def rows_of(connection: psycopg.Connection[tuple[Any, ...]], query: str, *params: object) -> list[tuple[Any, ...]]:
    """The same over a connection that is there."""
    cursor = connection.execute(query.encode(), params or None)
    return cursor.fetchall() if cursor.description else []


def faults_of_store(dsn: str, acknowledged: dict[str, str], *, others_may_be_there: bool = False) -> list[str]:
    """What is wrong with the stored messages: each acknowledged once under its id, whole, and no others.

    Others may be there when calls failed that nobody sent again: those may have been stored or not.
    """
    rows = fetch(dsn, "select content, id::text, embedding_status from messages where tenant_id like 'chaos%'")
    ids: dict[str, list[str]] = {}
    for content, id_, _ in rows:
        ids.setdefault(content, []).append(id_)
    faults = [f"lost: {content}" for content in acknowledged.keys() - ids.keys()]
    faults += [f"stored {len(found)} times: {content}" for content, found in ids.items() if len(found) > 1]
    faults += [f"another id: {c}" for c, found in ids.items() if c in acknowledged and acknowledged[c] not in found]
    if not others_may_be_there:
        faults += [f"never acknowledged: {content}" for content in ids.keys() - acknowledged.keys()]
    for table in ("message_embeddings", "message_lexemes"):
        (bare,) = fetch(
            dsn,
            f"select count(*) from messages m where embedding_status = 'completed' and not exists "
            f"(select from {table} t where t.tenant_id = m.tenant_id and t.message_id = m.id)",
        )[0]
        faults += [f"{bare} completed messages without a row in {table}"] if bare else []
    (stuck,) = fetch(
        dsn,
        "select count(*) from messages m where embedding_status = 'pending' and not exists "
        "(select from embedding_jobs j where j.tenant_id = m.tenant_id and j.message_id = m.id)",
    )[0]
    return faults + ([f"{stuck} pending messages without a job"] if stuck else [])


class Proxy:
    """TCP between a client and a server, which listens on a port of loopback or on a Unix socket.

    ``mute`` swallows what the server answers; ``cut`` ends every connection; ``flow(False)`` lets nothing through, as a
    network that drops packets does; ``delay`` holds everything up, in seconds.
    """

    def __init__(self, target_port: int = 0, *, unix_path: str = "") -> None:
        self._target = target_port
        self._path = unix_path
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.delay = 0.0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.mute = False
        self.swallowed = 0

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.flow(True)
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """host:port for clients."""
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Resets every connection, both sides."""
        for writer in self._writers:
            writer.transport.abort()

    def flow(self, is_flowing: bool) -> None:
        """Lets bytes through, or holds them back."""
        if is_flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._path:
                there, back = await asyncio.open_unix_connection(self._path)
            else:
                there, back = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # nobody there now
            writer.transport.abort()
            return
        pair = {writer, back}
        self._writers |= pair
        pumps = [
            asyncio.create_task(self._pump(reader, back, False)),
            asyncio.create_task(self._pump(there, writer, True)),
        ]
        self._tasks.update(pumps)
        await asyncio.wait(pumps)
        self._tasks.difference_update(pumps)
        self._writers -= pair

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, answers: bool) -> None:
        try:
            while data := await source.read(65536):
                if answers and self.mute:
                    self.swallowed += len(data)
                    continue
                await self._flowing.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                sink.write(data)
                await sink.drain()
        except OSError:
            pass
        finally:
            sink.transport.abort()


async def scrape(server: ServerProcess, path: str = "/metrics") -> str:
    """A page of the HTTP side."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        return (await http.get(f"http://127.0.0.1:{server.metrics_port}{path}", follow_redirects=True)).text

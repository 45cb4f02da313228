"""What the soak is made of: a network that flaps, mixed traffic, and samples of what a process holds."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import astuple, dataclass, field, fields
from datetime import UTC, datetime, timedelta
from types import TracebackType
from uuid import uuid4

import grpc
import psutil
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import Client, Proxy, ServerProcess, connected, fetch, message

# What a client may see of a network that flaps behind the server: it is told to try again, or that time is up.
EXPECTED = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
CALL_SECONDS = 5.0
# What a hybrid search takes grows with its tenant (docs/benchmarks.md), which would hide what grows without reason.
TENANT_MESSAGES = 1000
SERVER_CONNECTIONS = """
select count(*) from pg_stat_activity
where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()
"""


class Flapping:
    """A proxy in front of Postgres that is calm for a while, and then cuts every connection, stops, or delays."""

    def __init__(self, dsn: str, *, calm: float, seed: int) -> None:
        parts = conninfo_to_dict(dsn)
        self._calm = calm
        self._chance = random.Random(seed)
        self._proxy = Proxy(unix_path=f"{parts['host']}/.s.PGSQL.{parts.get('port', 5432)}")
        self._task: asyncio.Task[None] | None = None
        self.cuts = self.stops = self.delays = 0

    async def __aenter__(self) -> Flapping:
        await self._proxy.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rest()
        await self._proxy.__aexit__(kind, error, trace)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._proxy.address.rpartition(":")[2])

    def begin(self) -> None:
        """Starts to flap."""
        self._task = asyncio.create_task(self._flap())

    def rest(self) -> None:
        """Calm from now on."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._proxy.flow(True)
        self._proxy.delay = 0.0

    async def _flap(self) -> None:
        for number in range(1_000_000):
            await asyncio.sleep(self._calm * (0.5 + self._chance.random()))
            match number % 3:
                case 0:
                    self.cuts += 1
                    self._proxy.cut()
                case 1:
                    self.stops += 1
                    self._proxy.flow(False)
                    await asyncio.sleep(self._calm * self._chance.random())
                    self._proxy.flow(True)
                case _:
                    self.delays += 1
                    self._proxy.delay = 0.02
                    await asyncio.sleep(self._calm * self._chance.random())
                    self._proxy.delay = 0.0


def dsn_through(dsn: str, network: Flapping) -> str:
    """The DSN of the same database through the proxy."""
    return make_conninfo(dsn, host="127.0.0.1", port=network.port)


@dataclass
class Traffic:
    """Clients that ingest, search and get at random, and remember what was acknowledged."""

    address: str
    clients: int
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Content to id, of messages that are to be found for good."""
    codes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    stopping: bool = False

    @property
    def calls(self) -> int:
        """Calls made."""
        return self.codes.total()

    @property
    def failed(self) -> int:
        """Calls that did not end well."""
        return self.calls - self.codes["OK"]

    async def run(self) -> None:
        """Until ``stopping``."""
        await asyncio.gather(*(self._client(number) for number in range(self.clients)))

    async def _client(self, number: int) -> None:
        chance = random.Random(number)
        async with connected(self.address) as client:
            for sequence in range(100_000_000):
                if self.stopping:
                    return
                code = grpc.StatusCode.OK
                try:
                    await self._call(client, chance, f"soak {number} {sequence}")
                except grpc.aio.AioRpcError as error:
                    code = error.code()
                    if code not in EXPECTED:
                        self.wrong.append(f"{code.name}: {error.details()}")
                self.codes[code.name] += 1
                # Some pause: this is to last, not to overload; more after a failure, as a decent client does.
                await asyncio.sleep(0.05 if code == grpc.StatusCode.OK else 0.2)

    async def _call(self, client: Client, chance: random.Random, name: str) -> None:
        dice = chance.random()
        tenant_id = f"chaos-{len(self.acknowledged) // TENANT_MESSAGES}"
        if dice < 0.4:
            request = message(name, tenant_id=tenant_id, request_id=str(uuid4()), embed_later=chance.random() < 0.3)
            stored = await client.memory.IngestMessage(request, timeout=CALL_SECONDS)
            self.acknowledged[name] = stored.id
        elif dice < 0.5:
            old = message(f"{name} old", tenant_id="swept")
            old.created_at.FromDatetime(datetime.now(UTC) - timedelta(days=40))
            await client.memory.BatchIngestMessages(
                pb.BatchIngestMessagesRequest(messages=[old] * 5), timeout=CALL_SECONDS
            )
        elif dice < 0.8 or not self.acknowledged:
            ranking = "hybrid" if chance.random() < 0.3 else "semantic"
            request = pb.SearchMemoriesRequest(
                tenant_id=tenant_id, query=f"soak {chance.randrange(5000)}", ranking=ranking
            )
            await client.memory.SearchMemories(request, timeout=CALL_SECONDS)
        else:
            content = chance.choice(list(self.acknowledged)[-100:])
            found = await client.memory.GetMessage(
                pb.GetMessageRequest(message_id=self.acknowledged[content]), timeout=CALL_SECONDS
            )
            if found.content != content:
                self.wrong.append("another message under an id")


@dataclass(frozen=True, slots=True)
class Sample:
    """What the server's process held at a moment."""

    at: float
    rss_mb: float
    fds: int
    threads: int
    connections: int
    calls: int
    failed: int


async def sampled(server: ServerProcess, dsn: str, traffic: Traffic, network: Flapping, seconds: float) -> list[Sample]:
    """Runs the traffic for so long, the network flapping, with a sample now and then; calm again at the end."""
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    samples: list[Sample] = []
    started = time.monotonic()
    running = asyncio.ensure_future(traffic.run())
    network.begin()
    try:
        while (at := time.monotonic() - started) < seconds and server.is_running:
            ((connections,),) = await asyncio.to_thread(fetch, dsn, SERVER_CONNECTIONS)
            samples.append(
                Sample(
                    round(at, 1),
                    round(process.memory_info().rss / 2**20, 1),
                    process.num_fds(),
                    process.num_threads(),
                    connections,
                    traffic.calls,
                    traffic.failed,
                )
            )
            await asyncio.wait([running], timeout=max(0.5, seconds / 200))
            if running.done():
                break
    finally:
        network.rest()
        traffic.stopping = True
        await running
    return samples


def slope_a_minute(values: list[tuple[float, float]]) -> float:
    """Least squares: by how much the values rise in a minute."""
    count = len(values)
    mean_at, mean = sum(at for at, _ in values) / count, sum(v for _, v in values) / count
    spread = sum((at - mean_at) ** 2 for at, _ in values)
    return 60 * sum((at - mean_at) * (v - mean) for at, v in values) / spread if spread else 0.0


def table(samples: list[Sample], separator: str = "  ") -> str:
    """The samples as lines, headed by their names."""
    rows = [[f.name for f in fields(Sample)], *([str(value) for value in astuple(sample)] for sample in samples)]
    return "\n".join(separator.join(cell.rjust(11 if separator == "  " else 0) for cell in row) for row in rows) + "\n"

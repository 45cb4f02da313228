"""`make bench-scale`: what a call costs in each part of the service, and what larger machines would make of it.

Measured here: CPU milliseconds of a call in Envoy, in the server's Python, in its model and in Postgres, under callers
that come through Envoy, with the real model on a tenant of 10,000 messages. Simulated: calls a second on machines with
more cores, by one server process and by several (MEMORY_PROCESSES), from those costs (bench/scaling/queueing.py).
CPU time is what is measured, so a busy machine changes little.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import calls
import grpc
from ingesting import machine
from ingesting.clients import Texts
from scaling.queueing import Cost, rate

from memory_grpc.embedding.threads import NICENESS, QUERY_NICENESS
from memory_grpc.store.database import Database
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub

CORES = (2, 4, 8, 16, 32)
_CALLERS = 8
_WARM = 30


def ticks_by_part(pid: int) -> tuple[int, int]:
    """Clock ticks of a server so far: of its inference threads, which are nice, and of all others."""
    model = other = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        used, nice = int(fields[11]) + int(fields[12]), int(fields[16])
        if nice in (NICENESS, QUERY_NICENESS):
            model += used
        else:
            other += used
    return model, other


async def cost(
    server: machine.Server, postgres: int, envoy: int, call: Callable[[int], Awaitable[object]], count: int
) -> Cost:
    """What ``count`` calls cost, after some that do not count."""

    async def caller(numbers: Iterator[int]) -> None:
        for number in numbers:
            await call(number)

    await caller(iter(range(_WARM)))
    numbers = iter(range(_WARM, _WARM + count))
    tick = 1000 / os.sysconf("SC_CLK_TCK")
    model, python = ticks_by_part(server.pid)
    database, proxy = machine.family_cpu_seconds(postgres), machine.family_cpu_seconds(envoy)
    await asyncio.gather(*(caller(numbers) for _ in range(_CALLERS)))
    model, python = (after - before for after, before in zip(ticks_by_part(server.pid), (model, python), strict=True))
    database = machine.family_cpu_seconds(postgres) - database
    proxy = machine.family_cpu_seconds(envoy) - proxy
    return Cost(1000 * proxy / count, tick * python / count, tick * model / count, 1000 * database / count)


async def measured(file: Path, count: int, directory: Path) -> dict[str, Cost]:
    """By kind of call."""
    texts = Texts.of(file)
    found = {}
    with machine.machine(directory) as (dsn, postgres), machine.serving(dsn, directory) as server:
        database = Database(dsn, min_size=1, max_size=2, max_waiting=10, timeout_seconds=30)
        await database.open()
        await calls.fill(database, texts, 10_000)
        await database.close()
        with machine.envoy_process(server, directory) as (address, envoy):
            async with grpc.aio.insecure_channel(address) as channel:
                stub = MemoryServiceStub(channel)
                queries, written = calls.asked(texts), texts.some(_WARM + count)

                def search(ranking: str) -> Callable[[int], Awaitable[object]]:
                    def one(_: int) -> Awaitable[object]:
                        request = pb.SearchMemoriesRequest(tenant_id=calls.TENANT, query=next(queries), ranking=ranking)
                        return stub.SearchMemories(request, timeout=60)

                    return one

                def ingest(number: int) -> Awaitable[object]:
                    request = pb.IngestMessageRequest()
                    request.CopyFrom(written[number])
                    request.tenant_id = "written"
                    return stub.IngestMessage(request, timeout=60)

                for name, call in (
                    ("semantic search", search("semantic")),
                    ("hybrid search", search("hybrid")),
                    ("ingest", ingest),
                ):
                    found[name] = await cost(server, postgres, envoy, call, count)
    return found


def report(costs: dict[str, Cost]) -> None:
    """Two tables in Markdown."""
    print("| CPU ms of a call | Envoy | Python | model | Postgres | all |\n|---|---|---|---|---|---|")
    for name, part in costs.items():
        print(
            f"| {name} | {part.envoy:.2f} | {part.python:.2f} | {part.model:.2f} | {part.postgres:.2f} "
            f"| {part.total:.2f} |"
        )
    print("\n| calls a second, simulated | processes | " + " | ".join(f"{cores} cores" for cores in CORES) + " |")
    print("|---|---|" + "---|" * len(CORES))
    for name, part in costs.items():
        for label, of in (("1", lambda cores: 1), ("auto", lambda cores: max(1, cores // 2))):
            rates = [rate(part, cores=cores, processes=of(cores), callers=8 * cores) for cores in CORES]
            print(f"| {name} | {label} | " + " | ".join(f"{value:,.0f}" for value in rates) + " |")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a LoCoMo file, for texts")
    parser.add_argument("--calls", type=int, default=400, help="of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        report(asyncio.run(measured(arguments.file, arguments.calls, Path(directory))))


if __name__ == "__main__":
    main()

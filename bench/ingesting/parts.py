"""The five parts: what is measured, how, and what it is held to."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from ingesting import clients, machine
from ingesting.bare import Bare, Form
from ingesting.clients import Requests, Texts, of_tenant
from ingesting.machine import Memory
from ingesting.report import Figure, quantile, ratio
from memory_layer.v1 import memory_service_pb2 as pb

# Flat: how much resident memory may grow from a fifth of the stream to its end.
FLAT_MB = 30.0


@dataclass
class Bench:
    """What the parts share."""

    texts: Texts
    dsn: str
    directory: Path
    precision: str
    messages: int
    rounds: int
    lines: int
    tenant_size: int
    seed: int
    kills: int
    started: float = field(default_factory=time.monotonic)
    figures: list[Figure] = field(default_factory=list)

    def say(self, text: str) -> None:
        """A line of progress."""
        print(f"[{time.monotonic() - self.started:6.0f} s] {text}", file=sys.stderr, flush=True)

    def add(self, figure: Figure) -> None:
        """One more line of the table."""
        self.figures.append(figure)
        self.say(f"{figure.name}: {figure.measured:.2f}{figure.unit}")

    def serving(self, dsn: str, **variables: object) -> Any:
        """A server with the model."""
        return machine.serving(dsn, self.directory, EMBEDDING_PRECISION=self.precision, **variables)


async def rates(bench: Bench, bare: Bare, form: Form) -> None:
    """Part 1: each way in, and the bare model on the same texts right before and right after it."""
    requests = bench.texts.some(bench.messages)
    contents = [r.content for r in requests]
    with machine.database(bench.dsn, "bench_rates") as dsn, bench.serving(dsn) as server:
        async with machine.channel(server) as channel:
            with machine.envoy(server, bench.directory) as url:
                ways: dict[str, Callable[[Requests], Awaitable[object]]] = {
                    "unary gRPC, 64 callers": lambda some: clients.unary(channel, some),
                    "REST through Envoy, 64 callers": lambda some: clients.rest(url, some),
                    "BatchIngest, 256 a batch, 2 at once": lambda some: clients.batches(channel, some),
                    "StreamIngest": lambda some: clients.stream(channel, iter(some)),
                }
                drains = "asynchronous, drained"
                rounds: dict[str, list[float]] = {name: [] for name in (*ways, drains)}
                faster: list[float] = []
                bare_rates: list[float] = []
                for warm in ways.values():
                    await warm(of_tenant(requests[:64], "warm"))
                for number in range(bench.rounds):
                    before = await asyncio.to_thread(bare.seconds, form.index, contents)
                    for place, name in enumerate(rounds):
                        some = of_tenant(requests, f"round-{number}-{place}")
                        cpu, begun = server.cpu_seconds, time.perf_counter()
                        if name == drains:
                            acknowledged = await _drained(channel, dsn, some)
                            faster.append((time.perf_counter() - begun) / acknowledged)
                        else:
                            await ways[name](some)
                        seconds = time.perf_counter() - begun
                        cpu = server.cpu_seconds - cpu
                        after = await asyncio.to_thread(bare.seconds, form.index, contents)
                        rounds[name].append((before + after) / 2 / seconds)
                        bare_rates.append(2 * len(some) / (before + after))
                        bench.say(
                            f"round {number + 1} of {bench.rounds}, {name}: {len(some) / seconds:.0f}/s, bare "
                            f"{bare_rates[-1]:.0f}/s, {rounds[name][-1]:.2f}; {1000 * cpu / len(some):.2f} ms of the "
                            "server's CPU each"
                        )
                        before = after
        peak = server.peak_mb
    note = f"bare {statistics.median(bare_rates):.0f}/s"
    for name, aim in zip(rounds, (0.70, 0.55, 0.85, 0.85, 0.85), strict=True):
        bench.add(ratio(1, name, aim, rounds[name], note))
    bench.add(ratio(1, "asynchronous, acknowledged against embedded", 3, faster))
    bench.add(Figure(4, "peak memory of the server with the model", peak, 800, "less", " MB"))


async def _drained(channel: Any, dsn: str, requests: Requests) -> float:
    """Stores with ``embed_later``, waits until all is embedded; the seconds until all was acknowledged."""
    begun = time.perf_counter()
    await clients.unary(channel, of_tenant(requests, requests[0].tenant_id, embed_later=True))
    acknowledged = time.perf_counter() - begun
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as beside:
        waiting = "select exists (select from embedding_jobs)"
        while (row := await (await beside.execute(waiting)).fetchone()) and row[0]:
            await asyncio.sleep(0.02)
    return acknowledged


async def alone(bench: Bench, bare: Bare) -> None:
    """Part 2: one caller, in turns with the bare model on the same texts one by one, whichever form is faster."""
    requests = bench.texts.some(max(40, bench.messages // 4))
    times: dict[str, list[float]] = {"service": [], "one thread": [], "a thread a core": []}
    with machine.database(bench.dsn, "bench_alone") as dsn, bench.serving(dsn) as server:
        async with machine.channel(server) as channel:
            await clients.unary(channel, of_tenant(requests[:10], "warm"), callers=1)
            for start in range(0, len(requests), 10):
                some = of_tenant(requests[start : start + 10], "alone")
                contents = [r.content for r in some]
                times["service"] += await clients.unary(channel, some, callers=1)
                for name, parallel in (("one thread", False), ("a thread a core", True)):
                    times[name] += await asyncio.to_thread(bare.singles_ms, contents, parallel=parallel)
    p50 = {name: statistics.median(values) for name, values in times.items()}
    floor = min(p50["one thread"], p50["a thread a core"])
    note = f"p50 {p50['service']:.1f} ms, bare {floor:.1f} ms"
    bench.add(Figure(2, "one caller: p50 over one bare embedding", p50["service"] - floor, 5, "less", " ms", note))


async def searching(bench: Bench) -> None:
    """Part 3: searches at a steady pace, alone and then beside a stream that never pauses."""
    queries = itertools.cycle(f"what about {r.content[:80]}" for r in bench.texts.some(997))
    count = max(60, bench.messages // 2)
    with (
        machine.database(bench.dsn, "bench_search") as dsn,
        bench.serving(dsn, EMBEDDING_QUERY_CACHE_SIZE=0) as server,
    ):
        async with machine.channel(server) as channel, machine.channel(server) as other:
            bench.say(f"filling a tenant of {bench.tenant_size:,}")
            filling = of_tenant(bench.texts.some(bench.tenant_size), "large")
            await clients.stream(other, iter(filling), lambda done: bench.say(f"{done:,} stored"))
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("vacuum analyze")

            async def paced() -> list[float]:
                taken: list[float] = []
                await clients.searches(channel, "large", queries, 0.1, taken, count)
                return taken

            await paced()
            idle = await paced()

            def endless() -> Iterator[pb.IngestMessageRequest]:
                for number in itertools.count():
                    yield from of_tenant(bench.texts.some(256), f"import-{number % 4}")

            load = asyncio.create_task(clients.stream(other, endless()))
            await asyncio.sleep(2)
            begun, stored = time.perf_counter(), machine.count(dsn, "select count(*) from messages")
            busy = await paced()
            stored = machine.count(dsn, "select count(*) from messages") - stored
            rate = stored / (time.perf_counter() - begun)
            load.cancel()  # not to its end: thousands of messages are on their way
            await asyncio.wait([load])
    p95 = quantile(idle, 0.95), quantile(busy, 0.95)
    note = (
        f"p50 {statistics.median(idle):.0f} → {statistics.median(busy):.0f} ms, p95 {p95[0]:.0f} → {p95[1]:.0f} ms, "
        f"importing {rate:.0f}/s"
    )
    bench.add(Figure(3, "search p95 during an import, times idle", p95[1] / p95[0], 3, "less", "", note))


async def memory(bench: Bench) -> None:
    """Part 4: a stream of distinct messages with the hashing provider; resident memory over time."""
    turns = bench.texts.some(1000)

    def endless() -> Iterator[pb.IngestMessageRequest]:
        for number in range(bench.lines):
            yield pb.IngestMessageRequest(
                tenant_id="flat",
                conversation_id=f"c{number // 30}",
                role="user",
                name=turns[number % 1000].name,
                content=f"{number}: {turns[number % 1000].content}",
            )

    with (
        machine.database(bench.dsn, "bench_memory") as dsn,
        machine.serving(dsn, bench.directory, EMBEDDING_PROVIDER="hashing") as server,
    ):
        async with machine.channel(server) as channel:
            begun = time.perf_counter()
            with Memory(server) as watched:
                done = await clients.stream(
                    channel,
                    endless(),
                    lambda n: bench.say(f"{n:,} streamed, {server.rss_mb:.0f} MB") if n % 10_000 == 0 else None,
                )
            seconds = time.perf_counter() - begun
        stored = machine.count(dsn, "select count(*) from messages")
    if not done == stored == bench.lines:
        raise SystemExit(f"{done} acknowledged and {stored} stored of {bench.lines}")
    tail = np.array(watched.samples[len(watched.samples) // 5 :])
    slope = float(np.polyfit(tail[:, 0] / seconds * bench.lines, tail[:, 1], 1)[0]) * 10_000
    growth = float(tail[-8:, 1].mean() - tail[:8, 1].mean())
    note = f"slope {slope:+.2f} MB per 10,000, peak {tail[:, 1].max():.0f} MB, {done / seconds:,.0f}/s"
    bench.add(Figure(4, f"growth over {bench.lines:,} streamed (hashing)", growth, FLAT_MB, "less", " MB", note))


async def killed(bench: Bench) -> None:
    """Part 5: an import that is killed again and again, at places drawn by lot, and then left to finish."""
    chance = random.Random(bench.seed)
    turns = bench.texts.some(1000)
    file = bench.directory / "lines.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for number in range(bench.lines):
            line = {"conversation_id": f"c{number // 30}", "role": "user", "tenant_id": f"tenant-{number // 1000 % 3}"}
            out.write(json.dumps(line | {"content": f"{number}: {turns[number % 1000].content}"}) + "\n")
    places = sorted(chance.sample(range(bench.lines), bench.kills))
    with (
        machine.database(bench.dsn, "bench_import") as dsn,
        machine.serving(dsn, bench.directory, EMBEDDING_PROVIDER="hashing") as server,
    ):
        command = [sys.executable, "-m", "memory_grpc", "import", str(file), "--address", server.address, "--json"]
        environment = os.environ | {
            "XDG_STATE_HOME": str(bench.directory / "state"),
            "PYTHONPATH": f"{machine.ROOT}:{machine.ROOT / 'gen'}",
        }
        kills = 0
        for place in places:
            process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # A moment after the place, so that it falls anywhere between the send and the acknowledgement.
            while process.poll() is None and machine.count(dsn, "select count(*) from messages") < place:
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.random() * 0.2)
            process.kill()
            kills += process.wait() == -9
            bench.say(f"killed after {machine.count(dsn, 'select count(*) from messages'):,} lines")
        begun = time.perf_counter()
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
        seconds = time.perf_counter() - begun
        figures = json.loads(done.stdout)
        stored = machine.count(dsn, "select count(*) from messages")
        once = machine.count(
            dsn, "select count(*) from (select content from messages group by content having count(*) = 1) t"
        )
    wrong = abs(stored - bench.lines) + (bench.lines - once)
    note = (
        f"{kills} kills; the last run: {figures['stored']:,} stored, {figures['repeated']:,} repeated, "
        f"{figures['skipped']:,} skipped, {figures['stored'] / seconds:,.0f}/s"
    )
    bench.add(Figure(5, f"lines of {bench.lines:,} not stored exactly once", wrong, 0, "less", "", note))

"""Part 6: what a message takes besides its embedding, as processor time; with the hashing embedder, without an aim."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from ingesting import clients, machine
from ingesting.clients import Requests, of_tenant
from ingesting.parts import Bench


async def own_cost(bench: Bench, postgres_pid: int) -> list[str]:
    """The lines of a table: milliseconds of CPU a message of the server, of Postgres and of the callers."""
    lines = ["| way in | server ms | Postgres ms | callers ms |", "|---|---|---|---|"]
    requests = bench.texts.some(2 * bench.messages)
    with (
        machine.database(bench.dsn, "bench_own") as dsn,
        machine.serving(dsn, bench.directory, EMBEDDING_PROVIDER="hashing") as server,
        machine.envoy(server, bench.directory) as url,
    ):
        async with machine.channel(server) as channel:
            ways: dict[str, Callable[[Requests], Awaitable[object]]] = {
                "unary gRPC, one caller": lambda some: clients.unary(channel, some, callers=1),
                "unary gRPC, 64 callers": lambda some: clients.unary(channel, some),
                "REST through Envoy, 64 callers": lambda some: clients.rest(url, some),
                "BatchIngest, 256 a batch": lambda some: clients.batches(channel, some),
                "StreamIngest": lambda some: clients.stream(channel, iter(some)),
            }
            for number, (name, way) in enumerate(ways.items()):
                await way(of_tenant(requests[:64], "warm"))
                some = of_tenant(requests, f"own-{number}")
                before = server.cpu_seconds, machine.family_cpu_seconds(postgres_pid), time.process_time()
                await way(some)
                after = server.cpu_seconds, machine.family_cpu_seconds(postgres_pid), time.process_time()
                each = [1000 * (b - a) / len(some) for a, b in zip(before, after, strict=True)]
                lines.append(f"| {name} | {each[0]:.2f} | {each[1]:.2f} | {each[2]:.2f} |")
                bench.say(lines[-1])
    return lines

"""`make bench-rls`: what row-level security costs a search.

The same statements on the same connection pool, with and without the tenant's role: the ranking statements alone, the
transaction around an empty one, and the whole call over gRPC to two servers in this process. With and without take
turns and change who begins, so that whatever disturbs the machine disturbs both. Vectors are synthetic, the embedder is
`hashing`: a real model would make the shares smaller.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import numpy as np
from psycopg import sql

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import asking
from bench.search import CONFIG, NOW, fill, synthetic
from memory_grpc.app import running
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.observability.logging import configure
from memory_grpc.settings import Settings
from memory_grpc.store.database import Database, Plan, Tenant
from memory_grpc.store.rank import rank
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub

TENANT = "measured"
QUERY = "the band and the tan that Ann ran in May"
Call = Callable[[], Awaitable[object]]


def without_role(tenant: Tenant, timeout_ms: int, plan: Plan, at_one_moment: bool = False) -> sql.Composed:
    """What opened a transaction before there were roles; the superuser of the embedded Postgres passes all policies."""
    return sql.SQL("begin; set local statement_timeout = {timeout}").format(timeout=sql.Literal(timeout_ms))


def statements(database: Database, rng: np.random.Generator) -> dict[str, Call]:
    """The ranking statements, each in a transaction of its own; and a transaction around nothing but a ping."""

    def vector() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        return rng.standard_normal(384, dtype=np.float32)

    async def transaction() -> None:
        async with database.transaction(tenant=TENANT) as tx:
            await tx.one("database.ping")

    async def ranked(config: str | None) -> None:
        async with database.transaction(tenant=TENANT) as tx:
            await rank(tx, await asking.request(tx, TENANT, QUERY, vector(), NOW + timedelta(days=1), config=config))

    async def semantic() -> None:
        await ranked(None)

    async def hybrid() -> None:
        await ranked(CONFIG)

    return {"transaction": transaction, "semantic, SQL": semantic, "hybrid, SQL": hybrid}


def calls(stub: MemoryServiceStub) -> dict[str, Call]:
    """The whole search, as a client sees it."""

    def call(ranking: str) -> Call:
        request = pb.SearchMemoriesRequest(tenant_id=TENANT, query=QUERY, top_k=10, ranking=ranking)
        request.as_of.FromDatetime(NOW + timedelta(days=1))
        return lambda: stub.SearchMemories(request)

    return {"semantic, whole call": call("semantic"), "hybrid, whole call": call("hybrid")}


@asynccontextmanager
async def served(dsn: str) -> AsyncIterator[tuple[Database, MemoryServiceStub]]:
    """A real server and a client of it."""
    settings = Settings(
        embedding_provider="hashing",
        grpc_port=0,
        metrics_port=0,
        global_rate_limit="",
        retention_schedule_seconds=0,
        log_level="WARNING",
    )
    async with (
        running(settings, dsn) as application,
        grpc.aio.insecure_channel(f"127.0.0.1:{application.grpc_port}") as channel,
    ):
        yield application.database, MemoryServiceStub(channel)


async def compare(with_role: Call, without: Call, repeat: int) -> tuple[float, float, float, float]:
    """Milliseconds with and without: the medians, and the medians of the fastest fifth of each."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number in range(repeat + 10):
        for role in (True, False) if number % 2 else (False, True):
            started = time.perf_counter()
            await (with_role if role else without)()
            if number >= 10:
                taken[role].append((time.perf_counter() - started) * 1000)
    a, b = sorted(taken[True]), sorted(taken[False])
    fastest = max(1, repeat // 5)
    return statistics.median(a), statistics.median(b), statistics.median(a[:fastest]), statistics.median(b[:fastest])


async def run(size: int, others: int, repeat: int, as_json: bool) -> None:
    """Fills a database, measures and prints a table, or a line of JSON for each row of it."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(prefix="memory-bench-") as directory:
        postgres = EmbeddedPostgres(Path(directory))
        try:
            dsn = postgres.start()
            async with served(dsn) as (database, stub), served(dsn) as (plain_database, plain_stub):
                tenants = {f"other-{i}": 1000 for i in range(others)} | {TENANT: size}
                await fill(database, rng, synthetic(rng), tenants, 1000)
                async with database.maintenance() as owner:
                    await owner.execute("vacuum analyze")
                plain_database._opening = without_role  # type: ignore[method-assign]
                with_role = statements(database, rng) | calls(stub)
                without = statements(plain_database, rng) | calls(plain_stub)
                if not as_json:
                    print(f"a tenant of {size:,} messages among {size + others * 1000:,}; medians of {repeat} pairs")
                    print("| | with row-level security ms | without ms | ratio | of the fastest fifth |")
                    print("|---|---|---|---|---|")
                for name in with_role:
                    a, b, fast_a, fast_b = await compare(with_role[name], without[name], repeat)
                    if as_json:
                        row = {"what": name, "with_ms": a, "without_ms": b, "ratio": a / b, "fastest": fast_a / fast_b}
                        print(json.dumps(row), flush=True)
                    else:
                        print(f"| {name} | {a:.2f} | {b:.2f} | {a / b:.3f} | {fast_a / fast_b:.3f} |", flush=True)
        finally:
            postgres.stop()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="messages of the tenant that is searched")
    parser.add_argument("--others", type=int, default=50, help="other tenants, of 1,000 messages each")
    parser.add_argument("--repeat", type=int, default=200, help="pairs of each measurement")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each measurement")
    arguments = parser.parse_args()
    configure("WARNING", "json")
    asyncio.run(run(arguments.size, arguments.others, arguments.repeat, arguments.json))


if __name__ == "__main__":
    main()

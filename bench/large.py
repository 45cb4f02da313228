"""`make bench-large`: large tenants in one database with many others, their graphs against the scan, in one run.

Vectors are synthetic: points about 2,000 topics in 48 dimensions of falling variance, turned into 384 with a little
noise, which is closer to what a model gives than random ones. Importance is the documented formula's, with an override
on every tenth message; the messages of a tenant are spread over 400 days. Filling and building take most of an hour, so
that `--dir` keeps the database for the next run. Medians and 95th percentiles of one client, warm; times are of a noisy
machine, the ratios are what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector
from tqdm import tqdm

from memory_grpc.domain import ScoreWeights, SearchFilters
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.operations.build_graphs import BuildGraphs
from memory_grpc.operations.graphs import Graphs
from memory_grpc.store import models, search
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.migrations import migrate

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DIMENSIONS, MODEL = 384, 1
BATCH = 10_000
# For a machine of 24 GiB: the graph and the rows of a million messages stay in memory.
POSTGRES = {
    "shared_buffers": "4GB",
    "effective_cache_size": "12GB",
    "max_wal_size": "8GB",
    "max_parallel_maintenance_workers": "1",
    "autovacuum": "off",
}
BARE = b"""
select max(embedding <=> %(query)s::halfvec) from message_embeddings
where tenant_id = %(tenant_id)s and model_id = %(model_id)s
"""
HALF = b"delete from messages where tenant_id = %(tenant_id)s and get_byte(uuid_send(id), 3) < 128"

Array = NDArray[np.float32]


class Synthetic:
    """Vectors and importances; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        shape = np.random.default_rng(7)
        self._basis = (shape.standard_normal((48, DIMENSIONS)) / np.sqrt(np.arange(1, 49))[:, None]).astype(np.float32)
        self._topics = shape.standard_normal((2000, 48)).astype(np.float32)
        self._rng = np.random.default_rng(seed)

    def vectors(self, count: int) -> Array:
        """Unit vectors [count, DIMENSIONS]."""
        points = self._topics[self._rng.integers(0, 2000, count)]
        points = points + 0.9 * self._rng.standard_normal((count, 48), dtype=np.float32)
        made = points @ self._basis + 0.25 * self._rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
        return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), dtype=np.float32)

    def importances(self, count: int) -> NDArray[np.float64]:
        """What the documented formula gives to messages ingested when they were said."""
        role = self._rng.choice([0.5, 0.7, 0.9], count, p=[0.45, 0.5, 0.05])
        explicit = np.where(self._rng.random(count) < 0.1, self._rng.random(count), 0)
        return np.asarray(0.4 + 0.2 * role + 0.4 * explicit)

    def ids(self, count: int) -> list[UUID]:
        """Random ids."""
        return [UUID(bytes=self._rng.bytes(16)) for _ in range(count)]


async def fill(database: Database, tenant: str, count: int, made: Synthetic, progress: tqdm[Any]) -> None:
    """Stores a tenant of so many messages, 20 to a conversation, oldest first."""
    step = timedelta(days=400) / count
    for start in range(0, count, BATCH):
        size = min(BATCH, count - start)
        ids, vectors, importances = made.ids(size), made.vectors(size), made.importances(size)
        times = [NOW - step * (count - start - i) for i in range(size)]
        async with database.pool.connection() as connection, connection.transaction():
            async with (
                connection.cursor() as cursor,
                cursor.copy(
                    "copy messages (tenant_id, id, conversation_id, role, name, content, metadata, importance, "
                    "embedding_status, created_at, updated_at) from stdin"
                ) as copy,
            ):
                for i in range(size):
                    conversation, name = f"c{(start + i) // 20}", ("Ann", "Bob")[i % 2]
                    row = (
                        tenant,
                        ids[i],
                        conversation,
                        "user",
                        name,
                        "what was said",
                        "{}",
                        importances[i],
                        "completed",
                    )
                    await copy.write_row((*row, times[i], times[i]))
            async with (
                connection.cursor() as cursor,
                cursor.copy(
                    "copy message_embeddings (tenant_id, message_id, chunk, model_id, created_at, importance, "
                    "conversation_id, role, embedding) from stdin (format binary)"
                ) as copy,
            ):
                copy.set_types(["text", "uuid", "int4", "int2", "timestamptz", "float8", "text", "text", "halfvec"])
                for i in range(size):
                    row = (tenant, ids[i], 0, MODEL, times[i], float(importances[i]), f"c{(start + i) // 20}", "user")
                    await copy.write_row((*row, HalfVector(vectors[i])))
        progress.update(size)


async def prepare(database: Database, sizes: dict[str, int], others: int, other_size: int) -> None:
    """Fills what is not filled yet, and builds the graphs that are missing."""
    wanted = {f"other-{i}": other_size for i in range(others)} | sizes
    async with database.pool.connection() as connection:
        cursor = await connection.execute("select tenant_id from messages group by tenant_id")
        there = {row["tenant_id"] for row in await cursor.fetchall()}
    with tqdm(total=sum(wanted.values()), desc="messages", unit_scale=True) as progress:
        for seed, (tenant, count) in enumerate(wanted.items()):
            if tenant in there:
                progress.update(count)
                continue
            await fill(database, tenant, count, Synthetic(seed), progress)
    async with database.pool.connection() as connection:
        await connection.execute("vacuum analyze")
    graphs = Graphs(database)
    build = BuildGraphs(database, graphs, uuid4(), threshold=50_000, memory_mb=4096, text_config="english")
    while await build():
        pass
    print("\n| graph of | seconds to build | bytes a message |\n|---|---|---|")
    for graph in await graphs.all():
        seconds = (graph.finished_at - graph.started_at).total_seconds() if graph.finished_at else 0
        print(f"| {graph.messages:,} | {seconds:,.0f} | {graph.bytes / graph.messages:,.0f} |")


async def compare(database: Database, sizes: dict[str, int], total: int, repeat: int, weights: ScoreWeights) -> None:
    """Prints times of the bare scan, the scan and the pool, and how many of the scan's ten the pool finds."""
    made = Synthetic(99)
    filters = SearchFilters(as_of=NOW)
    reference = 0.0
    print(
        "\n| messages of the tenant | bare scan ms | scan ms (p95) | pool ms (p95) | served by "
        "| ratio to the scan at 10,000 | recall@10 |"
    )
    print("|---|---|---|---|---|---|---|")
    for tenant, size in sizes.items():
        times: dict[str, list[float]] = {"bare": [], "scan": [], "pool": []}
        found = wanted = 0
        for run in range(-3, max(30, min(repeat, repeat * 200_000 // size))):
            query = made.vectors(1)[0]
            async with database.transaction(tenant=tenant) as tx:
                hits: dict[str, set[UUID]] = {}
                for name in times:
                    started = time.perf_counter()
                    if name == "bare":
                        params = {"query": HalfVector(query), "tenant_id": tenant, "model_id": MODEL}
                        await (await tx._connection.execute(BARE, params)).fetchone()
                    elif name == "scan":
                        exact = await search.semantic(tx, tenant, MODEL, query, filters, weights, 10)
                        hits[name] = {hit.message_id for hit in exact}
                    elif size >= 50_000:
                        pooled = await search.pooled(tx, tenant, MODEL, query, filters, weights, 10)
                        hits[name] = {hit.message_id for hit in pooled[0]} if pooled else hits["scan"]
                    if run >= 0:
                        times[name].append((time.perf_counter() - started) * 1000)
            if run >= 0:
                wanted += len(hits["scan"])
                found += len(hits.get("pool", hits["scan"]) & hits["scan"])
        served = "pool" if size >= 50_000 else "scan"
        medians = {name: statistics.median(taken) for name, taken in times.items()}
        high = {name: float(np.quantile(taken, 0.95)) for name, taken in times.items()}
        if size == 10_000:
            reference = medians["scan"]
        ratio = f"{medians[served] / reference:.2f}" if reference else ""
        pool = f"{medians['pool']:.1f} ({high['pool']:.1f})" if served == "pool" else ""
        print(
            f"| {size:,} ({size / total:.2%}) | {medians['bare']:.1f} | {medians['scan']:.1f} ({high['scan']:.1f}) "
            f"| {pool} | {served} | {ratio} | {found / wanted:.4f} |",
            flush=True,
        )


def _name(size: int) -> str:
    return f"t{size // 1_000_000}m" if size % 1_000_000 == 0 else f"t{size // 1000}k"


async def halve(database: Database, sizes: dict[str, int]) -> None:
    """Deletes half of the messages of the tenants, and does not vacuum: the worst a graph can meet."""
    for tenant in sizes:
        async with database.pool.connection() as connection:
            await connection.execute(HALF, {"tenant_id": tenant})
    print("\nHalf of the rows are deleted.")


async def warm(database: Database, sizes: dict[str, int], directory: Path) -> None:
    """Reads the database's files and walks the graphs: in production they are in memory, after a start they are not."""
    for file in tqdm(sorted((directory / "postgres" / "base").rglob("*")), desc="reading files"):
        if file.is_file():
            with file.open("rb") as opened:
                while opened.read(1 << 24):
                    pass
    made = Synthetic(98)
    large = [tenant for tenant, size in sizes.items() if size >= 50_000]
    for tenant in large:
        for query in tqdm(made.vectors(200), desc=f"walking the graph of {tenant}"):
            async with database.transaction(tenant=tenant) as tx:
                await search.pooled(tx, tenant, MODEL, query, SearchFilters(as_of=NOW), ScoreWeights(), 10)


async def run(arguments: argparse.Namespace, directory: Path) -> None:
    """Fills, measures, prints."""
    postgres = EmbeddedPostgres(directory, POSTGRES)
    try:
        dsn = postgres.start()
        migrate(dsn)
        database = Database(dsn, min_size=1, max_size=3, max_waiting=10, timeout_seconds=10)
        await database.open()
        async with database.transaction(tenant=EVERY_TENANT) as tx:
            await models.know(tx, name="m", revision="r", precision="fp32", dimensions=DIMENSIONS, first=True)
        sizes = {_name(size): size for size in arguments.sizes}
        await prepare(database, sizes, arguments.others, arguments.other_size)
        if arguments.fill_only:
            return
        total = sum(arguments.sizes) + arguments.others * arguments.other_size
        if arguments.halve:
            await halve(database, sizes)
        await warm(database, sizes, directory)
        await compare(database, sizes, total, arguments.repeat, ScoreWeights())
        await database.close()
    finally:
        postgres.stop()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[1_000, 10_000, 100_000, 1_000_000],
        help="messages of the tenants that are measured",
    )
    parser.add_argument("--others", type=int, default=100, help="other tenants")
    parser.add_argument("--other-size", type=int, default=1_000, help="messages of each of them")
    parser.add_argument("--repeat", type=int, default=100, help="queries a tenant; fewer where a scan takes long")
    parser.add_argument("--dir", type=Path, help="where to keep the database, filled, for the next run")
    parser.add_argument("--halve", action="store_true", help="delete half of the messages of those tenants first")
    parser.add_argument("--fill-only", action="store_true", help="fill and build, measure another time")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = arguments.dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memory-bench-")))
        asyncio.run(run(arguments, directory))


if __name__ == "__main__":
    main()

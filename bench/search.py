"""`make bench-search`: the ranking statements against a bare index-only distance scan of the same rows, in one run.

Vectors and words are synthetic: neither statement's cost depends on what they mean. Medians of `--repeat` runs, one
client, warm; times are of a noisy machine, the ratios are what counts.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from pgvector import HalfVector

from memory_grpc.domain import ScoreWeights, SearchFilters, StoredMessage
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.ranking import HybridWeights, Participants, plan_query
from memory_grpc.store import embeddings, lexical, messages, search
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.migrations import migrate

NOW = datetime(2026, 6, 1, tzinfo=UTC)
CONFIG = "english"
BARE = b"""
select max(embedding <=> %(query)s::halfvec) from message_embeddings
where tenant_id = %(tenant_id)s and model_id = %(model_id)s
"""


async def fill(database: Database, tenant: str, count: int, rng: np.random.Generator) -> None:
    """Stores `count` short turns of a tenant, 20 to a conversation, through the service's own statements."""
    vocabulary = np.array([f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "ndrtlmskpg"])
    for start in range(0, count, 1000):
        size = min(1000, count - start)
        words = rng.zipf(1.3, (size, 14)) % len(vocabulary)
        drafts = [
            StoredMessage(
                id=UUID(bytes=rng.bytes(16)),
                tenant_id=tenant,
                conversation_id=f"c{(start + i) // 20}",
                role="user",
                name=("Ann", "Bob")[i % 2],
                content=" ".join(vocabulary[words[i]]),
                metadata={},
                importance=float(rng.random()),
                embedding_status="completed",
                created_at=NOW - timedelta(minutes=count - start - i),
                updated_at=NOW,
            )
            for i in range(size)
        ]
        vectors = rng.standard_normal((size, 384), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        async with database.transaction(tenant=tenant) as tx:
            stored = await messages.insert_many(tx, tenant, drafts, stamp_now=[False] * size)
            await lexical.insert_many(tx, tenant, CONFIG, stored)
            await embeddings.insert_many(
                tx, tenant, 1, {m.id: v[None, :] for m, v in zip(stored, vectors, strict=True)}
            )


async def measure(database: Database, tenant: str, repeat: int, rng: np.random.Generator) -> dict[str, float]:
    """Median milliseconds of each statement."""
    filters = SearchFilters(as_of=NOW)
    plan = plan_query("the band and the tan that Ann ran in May", Participants(("Ann", "Bob")), NOW, HybridWeights())
    times: dict[str, list[float]] = {"bare": [], "semantic": [], "count": [], "hybrid": []}
    for _ in range(repeat + 3):
        vector = rng.standard_normal(384, dtype=np.float32)
        async with database.transaction(tenant=tenant) as tx:

            async def bare(tx: Any = tx, vector: Any = vector) -> None:
                params = {"query": HalfVector(vector), "tenant_id": tenant, "model_id": 1}
                await (await tx._connection.execute(BARE, params)).fetchone()

            calls = {
                "bare": bare,
                "semantic": lambda tx=tx, v=vector: search.semantic(tx, tenant, 1, v, filters, ScoreWeights(), 10),
                "count": lambda tx=tx: search.count(tx, tenant, 1, filters),
                "hybrid": lambda tx=tx, v=vector: search.hybrid(
                    tx, tenant, 1, CONFIG, v, plan, filters, ScoreWeights(), HybridWeights(), 10
                ),
            }
            for name, call in calls.items():
                started = time.perf_counter()
                await call()
                times[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(taken[3:]) for name, taken in times.items()}


async def run(sizes: list[int], others: int, repeat: int) -> None:
    """Fills a database, measures and prints a table."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory(prefix="memory-bench-") as directory:
        postgres = EmbeddedPostgres(Path(directory))
        try:
            dsn = postgres.start()
            migrate(dsn)
            database = Database(dsn, min_size=1, max_size=2, max_waiting=10, timeout_seconds=10)
            await database.open()
            async with database.transaction(tenant=EVERY_TENANT) as tx:
                await embeddings.activate_first_model(tx, name="m", revision="r", precision="fp32", dimensions=384)
            for i in range(others):
                await fill(database, f"other-{i}", 1000, rng)
            for size in sizes:
                await fill(database, f"t{size}", size, rng)
            async with database.maintenance() as connection:
                await connection.execute("vacuum analyze")
                cursor = await connection.execute(
                    "select sum(pg_total_relation_size(c.oid))::float8 / (select count(*) from messages) as bytes "
                    "from pg_class c where relname in ('messages', 'message_embeddings', 'message_lexemes')"
                )
                row = await cursor.fetchone()
            print(f"{sum(sizes) + others * 1000:,} messages, {row['bytes'] if row else 0:,.0f} bytes each with indexes")
            print("| messages of the tenant | bare ms | semantic ms | ratio | with the count | hybrid ms | ratio |")
            print("|---|---|---|---|---|---|---|")
            for size in sizes:
                t = await measure(database, f"t{size}", repeat, rng)
                counted = (t["semantic"] + t["count"]) / t["bare"]
                print(
                    f"| {size:,} | {t['bare']:.1f} | {t['semantic']:.1f} | {t['semantic'] / t['bare']:.2f} "
                    f"| {counted:.2f} | {t['hybrid']:.1f} | {t['hybrid'] / t['bare']:.2f} |"
                )
            await database.close()
        finally:
            postgres.stop()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="messages of a tenant")
    parser.add_argument("--others", type=int, default=100, help="other tenants, of 1,000 messages each")
    parser.add_argument("--repeat", type=int, default=20, help="runs of each statement")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.sizes, arguments.others, arguments.repeat))


if __name__ == "__main__":
    main()

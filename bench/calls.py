"""`make bench-calls`: whole searches over gRPC on a tenant of 10,000 messages, with the real model, against their
parts: one bare query embedding and the ranking statement.

The server runs with its defaults in a process of its own. One caller and the bare parts take turns, then sixteen
callers at once. Every query is new, so that no cache answers. The callers share the cores with the server and Postgres.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import asking
import numpy as np
from ingesting import machine
from ingesting.bare import Bare
from ingesting.clients import Texts
from tqdm import tqdm

from memory_grpc.domain.messages import NewMessage, PreparedMessage
from memory_grpc.ids import Uuid7
from memory_grpc.store import embeddings, lexical, messages, rank
from memory_grpc.store.database import Database
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub

NOW = datetime(2026, 6, 1, tzinfo=UTC)
TENANT, CONFIG, DIMENSIONS, MODEL = "bench", "english", 384, 1
BLOCK = 20
CALLERS = 16


async def fill(database: Database, texts: Texts, count: int) -> None:
    """Stores real turns with random vectors: no cost depends on what a vector means."""
    rng = np.random.default_rng(1)
    ids = Uuid7(lambda: int(NOW.timestamp() * 1000), rng.bytes)
    turns = texts.some(count)
    for start in range(0, count, 1000):
        drafts = [
            PreparedMessage(
                id=ids(),
                message=NewMessage(
                    tenant_id=TENANT,
                    conversation_id=f"c{(start + i) // 20}",
                    role="user",
                    name=turn.name or None,
                    content=turn.content,
                    created_at=NOW - timedelta(minutes=count - start - i),
                ),
                importance=float(rng.random()),
                embedding_status="completed",
            )
            for i, turn in enumerate(turns[start : start + 1000])
        ]
        vectors = rng.standard_normal((len(drafts), DIMENSIONS), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        async with database.transaction(tenant=TENANT) as tx:
            stored = await messages.insert_many(tx, TENANT, drafts)
            await lexical.insert_many(tx, TENANT, CONFIG, stored)
            windows = {m.id: v[None, :] for m, v in zip(stored, vectors, strict=True)}
            await embeddings.insert_many(tx, TENANT, MODEL, windows)
    async with database.pool.connection() as connection:
        await connection.execute("vacuum analyze")


def asked(texts: Texts) -> Iterator[str]:
    """Queries without an end, no two alike: the first words of a turn, and a number."""
    for number in range(1_000_000):
        turn = texts.requests[number * 7919 % len(texts.requests)].content
        yield f"{' '.join(turn.split()[:10])} {number}"


async def call(stub: Any, query: str, ranking: str) -> float:
    """Milliseconds of a search."""
    request = pb.SearchMemoriesRequest(tenant_id=TENANT, query=query, ranking=ranking, top_k=10)
    started = time.perf_counter()
    await stub.SearchMemories(request, timeout=60)
    return (time.perf_counter() - started) * 1000


async def statement(database: Database, query: str, ranking: str, rng: np.random.Generator) -> float:
    """Milliseconds of the ranking statement alone."""
    vector = rng.standard_normal(DIMENSIONS, dtype=np.float32)
    config = CONFIG if ranking == "hybrid" else None
    async with database.transaction(tenant=TENANT) as tx:
        request = await asking.request(tx, TENANT, query, vector, NOW, config=config)
        started = time.perf_counter()
        await rank.rank(tx, request)
        return (time.perf_counter() - started) * 1000


async def one(
    stub: Any, database: Database, bare: Bare, queries: Iterator[str], ranking: str, blocks: int
) -> dict[str, list[float]]:
    """One caller, in turn with the bare model and the bare statement."""
    rng = np.random.default_rng(2)
    taken: dict[str, list[float]] = {"embedding": [], "statement": [], "call": []}
    for block in tqdm(range(-1, blocks), desc=f"{ranking}, one caller"):
        texts = [next(queries) for _ in range(BLOCK)]
        singles = await asyncio.to_thread(bare.singles_ms, texts, parallel=False)
        statements = [await statement(database, text, ranking, rng) for text in texts]
        calls = [await call(stub, text, ranking) for text in texts]
        if block >= 0:
            taken["embedding"] += singles
            taken["statement"] += statements
            taken["call"] += calls
    return taken


async def many(stub: Any, queries: Iterator[str], ranking: str, count: int, callers: int) -> tuple[float, list[float]]:
    """So many callers at once: searches a second, and their milliseconds."""
    left, taken = iter([next(queries) for _ in range(count)]), []

    async def caller() -> None:
        for query in left:
            taken.append(await call(stub, query, ranking))

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return count / (time.perf_counter() - started), taken


def p(values: Sequence[float], share: float) -> float:
    """A quantile."""
    return float(np.quantile(values, share))


async def run(arguments: argparse.Namespace, dsn: str, directory: Path) -> None:
    """Fills, measures, prints."""
    texts = Texts.of(arguments.file)
    queries = asked(texts)
    with machine.serving(dsn, directory) as server:
        database = Database(dsn, min_size=1, max_size=2, max_waiting=10, timeout_seconds=30)
        await database.open()
        await fill(database, texts, arguments.messages)
        bare = Bare("fp32")
        channel = machine.channel(server)
        stub = MemoryServiceStub(channel)
        rows = []
        try:
            for ranking in ("semantic", "hybrid"):
                taken = await one(stub, database, bare, queries, ranking, arguments.blocks)
                embedding, sql, whole = (statistics.median(taken[name]) for name in taken)
                single_rate, _ = await many(stub, queries, ranking, 200, 1)
                rate, taken_many = await many(stub, queries, ranking, arguments.blocks * BLOCK, CALLERS)
                rows.append(
                    f"| {ranking} | {embedding:.1f} | {sql:.1f} | {whole:.1f} ({p(taken['call'], 0.95):.1f}) "
                    f"| {whole / (embedding + sql):.2f} | {single_rate:.0f} | {rate:.0f} ({p(taken_many, 0.95):.0f}) "
                    f"| {rate / single_rate:.2f} | {rate / (1000 / embedding):.2f} |"
                )
        finally:
            bare.close()
            await channel.close()
            await database.close()
        memory = f"server {server.rss_mb:.0f} MB resident, {server.peak_mb:.0f} MB at most"
        print(f"\n{arguments.messages:,} messages; {memory}\n")
    print(
        "| ranking | bare embedding ms | statement ms | call ms (p95) | call / (embedding + statement) | one caller/s "
        f"| {CALLERS} callers/s (p95 ms) | to one caller | to the bare embedding rate of one thread |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="LoCoMo data")
    parser.add_argument("--messages", type=int, default=10_000, help="messages of the tenant")
    parser.add_argument("--blocks", type=int, default=20, help=f"blocks of {BLOCK} searches a measurement")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory-bench-") as name, machine.machine(Path(name)) as (dsn, _):
        asyncio.run(run(arguments, dsn, Path(name)))


if __name__ == "__main__":
    main()

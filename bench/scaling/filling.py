"""Fills a database, builds what large tenants need, and takes half of it away again."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

from tqdm import tqdm

from memory_grpc.embedding import create_provider
from memory_grpc.embedding.provider import ModelIdentity
from memory_grpc.jobs.graphs import LEASE, LEASE_SECONDS, BuildGraphs
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.words import IndexWords
from memory_grpc.operations.indexes.graphs import Graphs
from memory_grpc.settings import Settings
from memory_grpc.store import embeddings, lexical, messages, models
from memory_grpc.store.database import EVERY_TENANT, Database
from scaling import synthetic

MODEL = 1
CONFIG = "english"
THRESHOLD = 50_000
# For a machine of 24 GiB: the graph and the rows of a million messages stay in memory.
POSTGRES = {
    "shared_buffers": "8GB",
    "effective_cache_size": "12GB",
    "max_wal_size": "8GB",
    "max_parallel_maintenance_workers": "1",
    "autovacuum": "off",
}
HALF = b"delete from messages where tenant_id = %(tenant_id)s and get_byte(uuid_send(id), 3) < 128"
COUNT = b"select tenant_id, count(*) as messages from messages group by tenant_id"


async def sizes(database: Database) -> dict[str, int]:
    """How many messages each tenant has."""
    async with database.maintenance() as connection:
        return {row["tenant_id"]: row["messages"] for row in await (await connection.execute(COUNT)).fetchall()}


async def fill(
    database: Database,
    wanted: dict[str, int],
    days: int,
    *,
    model: ModelIdentity | None = None,
    config: str = CONFIG,
    desc: str = "messages",
) -> None:
    """Stores the tenants that are not there, over so many days, through the service's own statements. ``model`` is the
    one that a server will serve, the default one where it is None: the vectors are made up all the same."""
    async with database.transaction(tenant=EVERY_TENANT) as tx:
        # A model's number, though the vectors are made up: the server serves no other.
        identity = model or create_provider(Settings(_env_file=None)).identity
        await models.register(tx, **asdict(identity), first=True)
        active = next(model for model in await models.all_(tx) if model.active)
    if (active.name, active.revision) != (identity.name, identity.revision):
        sys.exit("The database was filled for another model: name another --dir.")
    there = await sizes(database)
    with tqdm(total=sum(wanted.values()), desc=desc, unit_scale=True, mininterval=10) as progress:
        for seed, (tenant, count) in enumerate(wanted.items()):
            if tenant in there:
                progress.update(count)
                continue
            async with database.transaction(tenant=tenant) as tx:  # one: what was cut off is begun anew
                for made, vectors in synthetic.messages(tenant, count, seed, days):
                    stored = await messages.insert_many(tx, tenant, made)
                    await lexical.insert_many(tx, tenant, config, stored)
                    windows = {m.id: v[None, :] for m, v in zip(stored, vectors, strict=True)}
                    await embeddings.insert_many(tx, tenant, MODEL, windows)
                    progress.update(len(made))
    if wanted.keys() - there:
        async with database.maintenance() as connection:
            await connection.execute("vacuum analyze")


async def build(database: Database) -> None:
    """Builds the graphs and word indexes that are missing."""
    graphs = Graphs(database)
    lease = Lease(database, LEASE, uuid4(), LEASE_SECONDS)
    words = IndexWords(database, CONFIG)
    builder = BuildGraphs(database, lease, graphs, words, threshold=THRESHOLD, memory_mb=4096)
    while await builder():
        pass
    print("\n| graph of | seconds to build | bytes a message |\n|---|---|---|")
    for graph in await graphs.all():
        seconds = (graph.finished_at - graph.started_at).total_seconds() if graph.finished_at else 0
        print(f"| {graph.messages:,} | {seconds:,.0f} | {graph.bytes / graph.messages:,.0f} |", flush=True)


async def halve(database: Database, tenants: list[str]) -> None:
    """Deletes half of the messages of the tenants, and does not vacuum: the worst a graph can meet."""
    for tenant in tenants:
        async with database.maintenance() as connection:
            await connection.execute(HALF, {"tenant_id": tenant})
    print("\nHalf of the rows are deleted.", flush=True)


def read_files(directory: Path) -> None:
    """Reads the database's files: in production they are in memory, after a start they are not."""
    for file in sorted((directory / "postgres" / "base").rglob("*")):
        if file.is_file():
            with file.open("rb") as opened:
                while opened.read(1 << 24):
                    pass

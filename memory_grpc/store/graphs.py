"""tenant_graphs, and the indexes that it names: the HNSW graphs of large tenants."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
import structlog
from psycopg import sql

from memory_grpc.store.database import Row, Transaction
from memory_grpc.store.errors import translated
from memory_grpc.store.queries import QUERIES

log = structlog.get_logger(__name__)

Connection = psycopg.AsyncConnection[Row]

# What a graph's points have beside the embedding: importance, and what makes all of them equally long.
EXTRA_DIMENSIONS = 2
# pgvector builds no graph of wider halfvecs.
MOST_DIMENSIONS = 4000 - EXTRA_DIMENSIONS


@dataclass(frozen=True, slots=True)
class Graph:
    """A row of tenant_graphs with what Postgres says of its index; ``index_valid`` is None where there is none."""

    tenant_id: str
    model_id: int
    index_name: str
    state: str
    messages: int
    started_at: datetime
    finished_at: datetime | None
    dimensions: int
    index_valid: bool | None
    bytes: int

    @property
    def usable(self) -> bool:
        """Whether searches may go through it."""
        return self.state == "ready" and self.index_valid is True


def index_name(tenant_id: str, model_id: int) -> str:
    """The index of a tenant's graph: of any identifier, one that Postgres takes."""
    return "tenant_graph_" + hashlib.sha256(f"{model_id}/{tenant_id}".encode()).hexdigest()[:32]


async def all_(tx: Transaction) -> list[Graph]:
    """Every graph."""
    return [Graph(**row) for row in await tx.all("graphs.all")]


async def sizes(tx: Transaction, *, least: int, most: int) -> Mapping[str, int]:
    """The tenants of ``least`` messages or more, with how many they have, counted to ``most``."""
    rows = await tx.all("graphs.sizes", {"least": least, "most": most})
    return {row["tenant_id"]: row["messages"] for row in rows}


async def begin(tx: Transaction, tenant_id: str, model_id: int) -> int:
    """Notes that the graph is being built; returns how many messages the tenant has."""
    row = await tx.one("graphs.count", {"tenant_id": tenant_id})
    messages = int(row["messages"]) if row else 0
    await tx.execute(
        "graphs.begin",
        {
            "tenant_id": tenant_id,
            "model_id": model_id,
            "index_name": index_name(tenant_id, model_id),
            "messages": messages,
        },
    )
    return messages


async def set_state(tx: Transaction, tenant_id: str, model_id: int, state: str) -> None:
    """Notes how far the graph is: building, ready, failed or dropping."""
    await tx.execute("graphs.set_state", {"tenant_id": tenant_id, "model_id": model_id, "state": state})


async def forget(tx: Transaction, tenant_id: str, model_id: int) -> None:
    """Removes the note of a graph that was dropped."""
    await tx.execute("graphs.forget", {"tenant_id": tenant_id, "model_id": model_id})


async def claim(connection: Connection, name: str) -> bool:
    """Takes the right to build or drop an index for as long as the connection lives; False while another has it."""
    row = await _one(connection, "graphs.claim", {"index_name": name})
    return bool(row and row["claimed"])


async def valid(connection: Connection, name: str) -> bool | None:
    """Whether an index is valid, an unfinished one is not; None when there is none."""
    row = await _one(connection, "graphs.state", {"index_name": name})
    return row["valid"] if row else None


async def create(
    connection: Connection, tenant_id: str, model_id: int, dimensions: int, messages: int, most_megabytes: int
) -> None:
    """Builds the index of a tenant's graph, in memory as far as ``most_megabytes`` reach. Takes about a millisecond a
    message."""
    width = dimensions + EXTRA_DIMENSIONS
    # A point takes its vector and about 400 bytes of edges at m = 16; half as much again is left free.
    needed = 64 + int(messages * (2 * width + 400) * 1.5 / 2**20)
    await _one(connection, "graphs.memory", {"memory": f"{min(needed, most_megabytes)}MB"})
    name = index_name(tenant_id, model_id)
    statement = sql.SQL(_text("graphs.create")).format(
        index=sql.Identifier(name),
        tenant=sql.Literal(tenant_id),
        model=sql.Literal(model_id),
        dimensions=sql.Literal(width),
    )
    with translated():
        try:
            await connection.execute(statement)
        except psycopg.errors.DiskFull:
            # /dev/shm is 64 MB in a container, unless somebody asked for more.
            log.info("graph_built_by_one_process")
            await drop(connection, name)
            await _one(connection, "graphs.alone", {})
            await connection.execute(statement)


async def drop(connection: Connection, name: str) -> None:
    """Drops an index, finished or not."""
    with translated():
        await connection.execute(sql.SQL(_text("graphs.drop")).format(index=sql.Identifier(name)))


def _text(query: str) -> LiteralString:
    return QUERIES[query]


async def _one(connection: Connection, query: str, params: Mapping[str, object]) -> Row | None:
    with translated():
        return await (await connection.execute(_text(query), params)).fetchone()

"""What the database says of itself, for the metrics: sizes by its own statistics, and the last sweep."""

from __future__ import annotations

from dataclasses import dataclass

from memory_grpc.store.database import Transaction
from memory_grpc.store.tenant_tables import TENANT_TABLES


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table: bytes on disk with its indexes, and about how many rows it has."""

    name: str
    bytes: int
    rows: int


async def tables(tx: Transaction) -> list[TableSize]:
    """The tables that hold tenants' data. Costs no scan, whatever their size."""
    rows = await tx.all("measures.tables", {"names": [table.name for table in TENANT_TABLES]})
    return [TableSize(**row) for row in rows]


async def last_sweep(tx: Transaction) -> float:
    """When the newest scheduled sweep that went well ended, in seconds since 1970; 0 when there was none."""
    row = await tx.one("measures.last_sweep")
    return float(row["ended_at"]) if row else 0.0

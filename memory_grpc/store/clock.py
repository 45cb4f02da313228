"""The database's clock, which rules over every server's."""

from __future__ import annotations

from datetime import datetime

from memory_grpc.store.database import Deferred, Row, Transaction


async def now(tx: Transaction) -> datetime:
    """When the transaction began."""
    return _now(await tx.all("database.now"))


async def now_deferred(tx: Transaction) -> Deferred[datetime]:
    """The same, not waited for."""
    return await tx.defer("database.now", None, _now)


async def tick(tx: Transaction) -> bool:
    """Waits for the database to answer; returns whether it takes writes."""
    return bool((await tx.all("database.writable"))[0]["writable"])


def _now(rows: list[Row]) -> datetime:
    moment: datetime = rows[0]["now"]
    return moment

"""reembeddings and reembedding_backlog: the way from one model to another, and what is left to embed on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from memory_grpc.store.database import Statement, Transaction

# Refusals of a text by the new model before the re-embedding goes on without it.
MAX_ATTEMPTS = 3
FIRST = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Reembedding:
    """A row of reembeddings; ``tenant_id`` None means every tenant; ``refused`` counts texts given up on."""

    id: int
    tenant_id: str | None
    previous_model_id: int
    model_id: int
    state: str
    keep_old: bool
    total: int
    embedded: int
    refused: int
    last_error: str | None
    started_at: datetime
    ready_at: datetime | None
    cut_over_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message of the backlog, and how often the new model has refused it."""

    tenant_id: str
    message_id: UUID
    attempts: int


async def start(
    tx: Transaction, *, tenant_id: str | None, previous_model_id: int, model_id: int, keep_old: bool
) -> int:
    """Opens a re-embedding and returns its id; there must be none open."""
    row = await tx.one(
        "reembedding.start",
        {
            "tenant_id": tenant_id,
            "previous_model_id": previous_model_id,
            "model_id": model_id,
            "keep_old": keep_old,
        },
    )
    assert row is not None, "an insert that returns nothing"
    return int(row["id"])


async def current(tx: Transaction) -> Reembedding | None:
    """The re-embedding that is open."""
    row = await tx.one("reembedding.open", {"max_attempts": MAX_ATTEMPTS})
    return Reembedding(**row) if row else None


async def newest(tx: Transaction) -> Reembedding | None:
    """The last one that was started."""
    row = await tx.one("reembedding.newest", {"max_attempts": MAX_ATTEMPTS})
    return Reembedding(**row) if row else None


async def get(tx: Transaction, id_: int) -> Reembedding | None:
    """One re-embedding."""
    row = await tx.one("reembedding.get", {"id": id_, "max_attempts": MAX_ATTEMPTS})
    return Reembedding(**row) if row else None


async def measure(
    tx: Transaction, id_: int, *, total: int | None = None, embedded: int | None = None, more: int = 0, new: int = 0
) -> bool:
    """Notes progress: both numbers anew, or ``more`` embedded, ``new`` of them not counted in the total yet.

    False when the re-embedding is not being worked on any more.
    """
    params = {"id": id_, "total": total, "embedded": embedded, "more": more, "new": new}
    return await tx.one("reembedding.measure", params) is not None


async def note_error(tx: Transaction, id_: int, error: str) -> None:
    """Notes the class of an error, which holds nobody's content."""
    await tx.execute("reembedding.note_error", {"id": id_, "error": error})


async def advance(tx: Transaction, id_: int, before: Sequence[str], state: str) -> bool:
    """To the next state; False when it is in none of ``before``."""
    return await tx.one("reembedding.advance", {"id": id_, "before": list(before), "state": state}) is not None


async def count(tx: Transaction, tenant_id: str, model_id: int) -> tuple[int, int]:
    """How many messages of a tenant have vectors, and how many of them this model's."""
    row = await tx.one("reembedding.count", {"tenant_id": tenant_id, "model_id": model_id})
    return (row["total"], row["embedded"]) if row else (0, 0)


async def missing(tx: Transaction, tenant_id: str, model_id: int, after: UUID, limit: int) -> dict[UUID, str]:
    """The texts of the next messages past ``after`` without this model's vectors, in order of their ids."""
    params = {"tenant_id": tenant_id, "model_id": model_id, "after": after, "limit": limit}
    return {row["id"]: row["content"] for row in await tx.all("reembedding.missing", params)}


async def contents(tx: Transaction, tenant_id: str, message_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The texts of messages."""
    rows = await tx.all("reembedding.contents", {"tenant_id": tenant_id, "message_ids": list(message_ids)})
    return {row["id"]: row["content"] for row in rows}


async def contents_of_many(tx: Transaction, message_ids: Mapping[str, Sequence[UUID]]) -> dict[tuple[str, UUID], str]:
    """The same of several tenants' messages, in one round trip."""
    asked = [
        Statement("reembedding.contents", {"tenant_id": tenant_id, "message_ids": list(ids)})
        for tenant_id, ids in message_ids.items()
    ]
    found = await tx.together(*asked)
    return {
        (tenant_id, row["id"]): row["content"]
        for tenant_id, rows in zip(message_ids, found, strict=True)
        for row in rows
    }


async def note_many(tx: Transaction, tenant_id: str, message_ids: Sequence[UUID], attempts: int = 0) -> None:
    """Puts messages into the backlog, after so many refusals."""
    params = {"tenant_id": tenant_id, "message_ids": list(message_ids), "attempts": attempts}
    await tx.execute("reembedding.note_many", params)


async def backlog(tx: Transaction, limit: int) -> list[Waiting]:
    """What is left of the backlog, but for what was refused too often."""
    rows = await tx.all("reembedding.backlog", {"limit": limit, "max_attempts": MAX_ATTEMPTS})
    return [Waiting(**row) for row in rows]


async def refused(tx: Transaction) -> list[Waiting]:
    """What was refused too often."""
    return [Waiting(**row) for row in await tx.all("reembedding.refused", {"max_attempts": MAX_ATTEMPTS})]


async def bump(tx: Transaction, tenant_id: str, message_ids: Sequence[UUID]) -> None:
    """One more refusal of these."""
    await tx.execute("reembedding.bump", {"tenant_id": tenant_id, "message_ids": list(message_ids)})


async def settle(tx: Transaction, tenant_id: str, message_ids: Sequence[UUID]) -> None:
    """These are done."""
    await tx.execute("reembedding.settle", {"tenant_id": tenant_id, "message_ids": list(message_ids)})


async def clear(tx: Transaction) -> None:
    """Empties the backlog."""
    await tx.execute("reembedding.clear")


async def sample(tx: Transaction, tenant_id: str, limit: int) -> dict[UUID, str]:
    """Some of the tenant's own user messages, the same ones each time."""
    rows = await tx.all("reembedding.sample", {"tenant_id": tenant_id, "limit": limit})
    return {row["id"]: row["content"] for row in rows}

"""embedding_jobs: messages that wait for their embedding."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from memory_grpc.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Job:
    """A message to embed, since when it waits, and how many times it was tried, this time included."""

    tenant_id: str
    message_id: UUID
    attempts: int
    enqueued_at: datetime


async def enqueue_many(tx: Transaction, tenant_id: str, message_ids: Sequence[UUID]) -> None:
    """Queues messages of one tenant."""
    await tx.execute("jobs.enqueue_many", {"tenant_id": tenant_id, "message_ids": list(message_ids)})
    await tx.execute("jobs.notify")


async def retry_failed(tx: Transaction, tenant_id: str) -> int:
    """Queues a tenant's failed messages again; returns how many."""
    row = await tx.one("jobs.retry_failed", {"tenant_id": tenant_id})
    await tx.execute("jobs.notify")
    return int(row["queued"]) if row else 0


async def depth(tx: Transaction) -> tuple[int, float]:
    """How many jobs wait, and for how many seconds the oldest has."""
    row = await tx.one("jobs.depth")
    return (int(row["depth"]), float(row["oldest_seconds"])) if row else (0, 0.0)


async def lease(tx: Transaction, model_ids: Sequence[int], limit: int, seconds: float) -> list[Job]:
    """Takes up to ``limit`` due jobs for ``seconds``, of tenants that use one of these models."""
    params = {"model_ids": list(model_ids), "limit": limit, "seconds": seconds}
    return [Job(**row) for row in await tx.all("jobs.lease", params)]


async def hold(tx: Transaction, held: Collection[Job], seconds: float) -> set[Job]:
    """Has jobs for ``seconds`` more, and keeps them until the transaction ends; those that are not another's by now."""
    by_key = {(job.tenant_id, job.message_id): job for job in held}
    params = {
        "tenant_ids": [job.tenant_id for job in held],
        "message_ids": [job.message_id for job in held],
        "attempts": [job.attempts for job in held],
        "enqueued_ats": [job.enqueued_at for job in held],
        "seconds": seconds,
    }
    return {by_key[row["tenant_id"], row["message_id"]] for row in await tx.all("jobs.hold", params)}


async def again(tx: Transaction, tenant_id: str, message_ids: Sequence[UUID]) -> None:
    """Makes embedded messages pending and queues them."""
    await tx.execute("jobs.again", {"tenant_id": tenant_id, "message_ids": list(message_ids)})
    await tx.execute("jobs.notify")


async def postpone(tx: Transaction, tenant_id: str, message_ids: Sequence[UUID], seconds: float) -> None:
    """Puts jobs back, due again after ``seconds``."""
    await tx.execute("jobs.postpone", {"tenant_id": tenant_id, "message_ids": list(message_ids), "seconds": seconds})


async def finish(tx: Transaction, tenant_id: str, message_ids: Sequence[UUID], status: str) -> None:
    """Ends jobs; their messages become ``completed`` or ``failed``."""
    await tx.execute("jobs.finish", {"tenant_id": tenant_id, "message_ids": list(message_ids), "status": status})


async def contents(tx: Transaction, tenant_id: str, message_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The texts of messages that still wait; those that are gone or done are missing."""
    rows = await tx.all("jobs.contents", {"tenant_id": tenant_id, "message_ids": list(message_ids)})
    return {row["id"]: row["content"] for row in rows}

"""idempotency_keys: the request ids of recent ingests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from memory_grpc.store.database import Transaction


@dataclass(frozen=True, slots=True)
class Claim:
    """A request id, the digest of its body, the message it stored, and whether it lasts as long as that message."""

    request_id: UUID
    body_digest: bytes
    message_id: UUID
    kept: bool = False


async def known(tx: Transaction, tenant_id: str, request_ids: Iterable[UUID]) -> dict[UUID, Claim]:
    """What is known of these request ids."""
    rows = await tx.all("idempotency.get_many", {"tenant_id": tenant_id, "request_ids": list(request_ids)})
    return {row["request_id"]: Claim(**row) for row in rows}


async def claim_many(tx: Transaction, tenant_id: str, claims: Sequence[Claim]) -> set[UUID]:
    """Takes the request ids that are free, waiting for calls that hold them; returns those that were taken."""
    rows = await tx.all(
        "idempotency.claim_many",
        {
            "tenant_id": tenant_id,
            "request_ids": [c.request_id for c in claims],
            "body_digests": [c.body_digest for c in claims],
            "message_ids": [c.message_id for c in claims],
            "kept": [c.kept for c in claims],
        },
    )
    return {row["request_id"] for row in rows}


async def keep_many(tx: Transaction, tenant_id: str, claims: Sequence[Claim]) -> None:
    """Has known request ids kept as long as their messages."""
    await tx.execute(
        "idempotency.keep_many",
        {
            "tenant_id": tenant_id,
            "request_ids": [c.request_id for c in claims],
            "body_digests": [c.body_digest for c in claims],
            "message_ids": [c.message_id for c in claims],
        },
    )


async def expire(tx: Transaction, hours: float, batch_size: int) -> int:
    """Forgets one batch of request ids older than ``hours``; returns its size."""
    return await tx.execute("idempotency.expire", {"hours": hours, "batch_size": batch_size})

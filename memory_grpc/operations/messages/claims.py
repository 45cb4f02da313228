"""Whose request ids are whose: taken for new messages, known from before, erased, and kept longer."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from uuid import UUID

from memory_grpc.domain.messages import PreparedMessage, StoredMessage
from memory_grpc.errors import RequestIdReused
from memory_grpc.operations.messages.drafts import Draft, is_reused
from memory_grpc.store import erasure, idempotency
from memory_grpc.store import messages as message_store
from memory_grpc.store.database import Deferred, Transaction
from memory_grpc.store.idempotency import Claim


async def claim(
    tx: Transaction, tenant_id: str, ready: Sequence[tuple[Draft, PreparedMessage]], kept: set[UUID]
) -> dict[UUID, Claim]:
    """Takes the request ids of drafts; returns those that a concurrent call took first."""
    claims = {
        d.message.request_id: Claim(d.message.request_id, d.digest, one.id, d.message.request_id in kept)
        for d, one in ready
        if d.message.request_id is not None and d.digest is not None
    }
    if not claims:
        return {}
    lost = claims.keys() - await idempotency.claim_many(tx, tenant_id, list(claims.values()))
    if not lost:
        return {}
    known = await idempotency.known(tx, tenant_id, lost)
    if is_reused(known, {id_: claim.body_digest for id_, claim in claims.items()}):
        raise RequestIdReused
    return known


async def erased(
    tx: Transaction, tenant_id: str, ready: Sequence[tuple[Draft, PreparedMessage]]
) -> Deferred[set[UUID]] | None:
    """The request ids among those just claimed that are erased: a claim waits for a deletion that holds its request id,
    so that none is looked up too early."""
    request_ids = [draft.message.request_id for draft, _ in ready if draft.message.request_id is not None]
    return await erasure.erased_among(tx, tenant_id, "request", request_ids) if request_ids else None


def is_kept_late(claim: Claim, stored: Mapping[UUID, StoredMessage]) -> bool:
    """Whether a request id was not to be kept when it was first sent, and its message is still there."""
    return not claim.kept and claim.message_id in stored


async def stored_before(
    tx: Transaction, tenant_id: str, known: Mapping[UUID, Claim], twins: Collection[UUID]
) -> dict[UUID, StoredMessage]:
    """The messages of request ids that are known, and those that have twins, by their own ids; those that were deleted
    are missing."""
    ids = {claim.message_id for claim in known.values()} | set(twins)
    return await (await message_store.get_many(tx, tenant_id, sorted(ids))).get() if ids else {}

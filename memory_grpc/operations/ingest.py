"""Ingest: stores messages of one tenant with their embeddings, once for each request_id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from memory_grpc import scoring
from memory_grpc.domain import NewMessage, Policy, StoredMessage
from memory_grpc.embedding import Embedder
from memory_grpc.errors import EmbeddingUnavailable, FieldViolation, InvalidInput, NotFound, RequestIdReused
from memory_grpc.observability import metrics
from memory_grpc.operations.policy import Policies
from memory_grpc.store import embeddings, idempotency, jobs, lexical
from memory_grpc.store import messages as table
from memory_grpc.store.database import Database, Transaction
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.idempotency import Claim

LONGEST_FUTURE = timedelta(days=1)

# Holds the place of a time that the database gives.
_LATER = datetime(1970, 1, 1, tzinfo=UTC)


class Ingest:
    """Embeds first, outside any transaction; then stores everything in one."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        model_id: int,
        policies: Policies,
        new_id: Callable[[], UUID],
        *,
        embed_later: bool,
        text_config: str,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._model_id = model_id
        self._policies = policies
        self._new_id = new_id
        self._embed_later = embed_later
        self._text_config = text_config

    async def __call__(self, messages: Sequence[NewMessage]) -> list[StoredMessage]:
        """Stores messages, all of one tenant and all or none; returns them in order.

        Messages that are to be embedded later, and all of them while the model is down, are stored as ``pending`` with
        a job that embeds them. A message whose request_id has been seen is not stored again: the stored one is
        returned.

        Raises InvalidInput (a created_at in the future), RequestIdReused (another body under a known request_id),
        QueueFull, StoreUnavailable, DeadlineExceeded; nothing is stored then.
        """
        tenant_id = messages[0].tenant_id
        policy = await self._policies.get(tenant_id)
        digests = {m.request_id: _digest(m) for m in messages if m.request_id is not None}
        known: dict[UUID, Claim] = {}
        if digests:
            async with self._database.transaction(tenant=tenant_id) as tx:
                known = await idempotency.known(tx, tenant_id, digests)
            _check_same_bodies(known, digests)
        fresh = [m for m in messages if m.request_id is None or m.request_id not in known]
        vectors = await self._embed(fresh)

        async with self._database.transaction(tenant=tenant_id) as tx:
            drafts = await self._draft(tx, fresh, policy, vectors)
            if digests and fresh:
                known |= await _claim(tx, tenant_id, drafts, digests)
                drafts = [(m, draft) for m, draft in drafts if m.request_id is None or m.request_id not in known]
            stored = await table.insert_many(
                tx,
                tenant_id,
                [draft for _, draft in drafts],
                stamp_now=[m.created_at is None for m, _ in drafts],
            )
            await lexical.insert_many(tx, tenant_id, self._text_config, stored)
            by_message = {id(m): s for (m, _), s in zip(drafts, stored, strict=True)}
            embedded = {s.id: vectors[key] for key, s in by_message.items() if key in vectors}
            if embedded:
                await embeddings.insert_many(tx, tenant_id, self._model_id, embedded)
            if len(embedded) < len(stored):
                await jobs.enqueue_many(tx, tenant_id, [s.id for s in stored if s.id not in embedded])
            repeated = await table.get_many(tx, tenant_id, [c.message_id for c in known.values()]) if known else {}
        metrics.INGESTED.labels("completed").inc(len(embedded))
        metrics.INGESTED.labels("pending").inc(len(stored) - len(embedded))
        metrics.INGEST_REPEATED.inc(len(messages) - len(stored))
        return [by_message.get(id(m)) or _repeated(m, known, repeated) for m in messages]

    async def _embed(self, messages: Sequence[NewMessage]) -> dict[int, Vectors]:
        """The vectors of the messages that are to be embedded now, by ``id(message)``; none while the model is down."""
        now = [m for m in messages if not (self._embed_later if m.embed_later is None else m.embed_later)]
        try:
            vectors = await self._embedder.embed_messages([m.content for m in now]) if now else []
        except EmbeddingUnavailable:
            return {}
        return {id(m): v for m, v in zip(now, vectors, strict=True)}

    async def _draft(
        self, tx: Transaction, messages: Sequence[NewMessage], policy: Policy, vectors: Mapping[int, Vectors]
    ) -> list[tuple[NewMessage, StoredMessage]]:
        """Messages as they will be stored, with an id and their importance."""
        now = None
        if any(m.created_at is not None for m in messages):
            row = await tx.one("database.now")
            now = row["now"] if row else None
            _check_not_future(messages, now)
        return [
            (
                m,
                StoredMessage(
                    id=self._new_id(),
                    tenant_id=m.tenant_id,
                    conversation_id=m.conversation_id,
                    role=m.role,
                    name=m.name,
                    content=m.content,
                    metadata=m.metadata,
                    importance=scoring.importance(
                        (now - m.created_at).total_seconds() if now and m.created_at else 0.0,
                        m.role,
                        m.importance_override,
                        policy.importance,
                    ),
                    embedding_status="completed" if id(m) in vectors else "pending",
                    created_at=m.created_at or _LATER,
                    updated_at=_LATER,
                ),
            )
            for m in messages
        ]


async def _claim(
    tx: Transaction,
    tenant_id: str,
    drafts: Sequence[tuple[NewMessage, StoredMessage]],
    digests: Mapping[UUID, bytes],
) -> dict[UUID, Claim]:
    """Takes the request ids of drafts; returns those that a concurrent call took first."""
    claims = {m.request_id: Claim(m.request_id, digests[m.request_id], draft.id) for m, draft in drafts if m.request_id}
    taken = await idempotency.claim_many(tx, tenant_id, list(claims.values()))
    lost = claims.keys() - taken
    if not lost:
        return {}
    known = await idempotency.known(tx, tenant_id, lost)
    _check_same_bodies(known, digests)
    return known


def _check_same_bodies(known: Mapping[UUID, Claim], digests: Mapping[UUID, bytes]) -> None:
    if any(claim.body_digest != digests[request_id] for request_id, claim in known.items()):
        raise RequestIdReused


def _check_not_future(messages: Sequence[NewMessage], now: datetime | None) -> None:
    late = [i for i, m in enumerate(messages) if now and m.created_at and m.created_at > now + LONGEST_FUTURE]
    if late:
        raise InvalidInput([FieldViolation(f"messages[{i}].created_at", "is more than a day ahead") for i in late])


def _repeated(message: NewMessage, known: Mapping[UUID, Claim], stored: Mapping[UUID, StoredMessage]) -> StoredMessage:
    assert message.request_id is not None, "only a request_id makes a repeat"
    found = stored.get(known[message.request_id].message_id)
    if found is None:
        raise NotFound("The message of this request_id was deleted by retention.")
    return found


def _digest(message: NewMessage) -> bytes:
    """SHA-256 of everything the caller said but the request_id; the same for the same request, whoever computes it."""
    body = [
        message.conversation_id,
        message.role,
        message.name,
        message.content,
        message.metadata,
        message.importance_override,
        message.created_at.isoformat() if message.created_at else None,
    ]
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).digest()

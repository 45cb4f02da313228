"""Update: changes what a message says, and keeps what it said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from memory_grpc import at_work, deadline, scoring
from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.policy import Policy
from memory_grpc.domain.revisions import MessageUpdate
from memory_grpc.errors import (
    EmbeddingUnavailable,
    EtagMismatch,
    InvalidInput,
    ModelChanged,
    NotFound,
    QueueFull,
    RequestIdReused,
)
from memory_grpc.ids import moment_of
from memory_grpc.operations.models.models import Model, Models
from memory_grpc.operations.policy.policies import Policies
from memory_grpc.operations.policy.quotas import Quotas, Text
from memory_grpc.store import embeddings, idempotency, jobs, messages, models, reembedding, revisions
from memory_grpc.store.database import Database, Transaction
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.idempotency import Claim


class Update:
    """Embeds first, outside any transaction; then changes everything in one, alone in its tenant: nobody archives the
    message meanwhile or adds vectors of what it said."""

    def __init__(
        self,
        database: Database,
        models: Models,
        policies: Policies,
        quotas: Quotas,
        *,
        embed_later: bool,
        word_config: str,
    ) -> None:
        self._database = database
        self._models = models
        self._policies = policies
        self._quotas = quotas
        self._embed_later = embed_later
        self._word_config = word_config

    async def __call__(self, update: MessageUpdate) -> StoredMessage:
        """The message as it is afterwards; the same as before where nothing changes.

        Raises NotFound, EtagMismatch, InvalidInput (an expires_at in the past), RequestIdReused (another body under a
        known request_id), QuotaExceeded (what it was is kept besides), StoreUnavailable; nothing is changed then. After
        DeadlineExceeded it may have been.
        """
        policy = await self._policies.get(update.tenant_id)
        while True:
            model, vectors = await self._embed(update)
            change = partial(self._change, update, policy, model, vectors)
            try:
                return await self._quotas.asked_twice(update.tenant_id, change)
            except ModelChanged:  # between embedding and storing; nothing was changed
                continue

    async def _embed(self, update: MessageUpdate) -> tuple[Model | None, Vectors | None]:
        content = update.changes.get("content")
        if content is None or (self._embed_later if update.embed_later is None else update.embed_later):
            return None, None
        try:
            model = await self._models.of(update.tenant_id)
            async with at_work.paused(), deadline.most_of_it(EmbeddingUnavailable):
                (vectors,) = await model.embedder.embed_messages([content], tenant=update.tenant_id)
        except (EmbeddingUnavailable, QueueFull):
            return None, None
        return model, vectors

    async def _change(
        self, update: MessageUpdate, policy: Policy, model: Model | None, vectors: Vectors | None
    ) -> StoredMessage:
        tenant_id, id_ = update.tenant_id, update.message_id
        said = Text(update.changes.get("content") or "", update.changes.get("metadata") or {})
        async with (
            self._quotas.room(tenant_id, [said], adds=False) as room,
            self._database.transaction(tenant=tenant_id, plan="each") as tx,
        ):
            wanted = await self._models.check_write(tx, tenant_id, model) if model else None
            await models.lock_tenant_exclusive(tx, tenant_id)
            if not await _claim(tx, update):
                tx.rests_on_earlier = True
                return await _as_it_is(tx, update)
            found = await revisions.lock(tx, tenant_id, id_)
            if found is None:
                raise NotFound
            before, now = found
            if update.etag is not None and update.etag != before.etag:
                raise EtagMismatch
            after = changed(before, update.changes, policy, now)
            if after == before:
                return before
            await room.take([after], adds=False)
            if after.content != before.content:
                after = replace(after, embedding_status="pending" if vectors is None else "completed")
            after = await revisions.replace(tx, before, replace(after, updated_at=now), self._word_config)
            if after.content != before.content:
                if vectors is None or model is None:
                    await jobs.enqueue_many(tx, tenant_id, [id_])
                else:
                    await embeddings.insert_many(tx, tenant_id, model.id, {id_: vectors})
                    if wanted is not None:
                        await reembedding.note_many(tx, tenant_id, [id_])
            return after


def changed(before: StoredMessage, changes: Any, policy: Policy, now: datetime) -> StoredMessage:
    """A message with its changes. Raises InvalidInput for an end that has passed."""
    own = {name: value for name, value in changes.items() if name != "importance_override"}
    if "importance_override" in changes:
        stored_at = moment_of(before.id) or before.created_at
        age = (stored_at - before.created_at).total_seconds()
        own["importance"] = scoring.importance(age, before.role, changes["importance_override"], policy.importance)
    end = own.get("expires_at")
    if end is not None and end <= now:
        raise InvalidInput.of("expires_at", "must be in the future")
    return replace(before, **own)


def digest(update: MessageUpdate) -> bytes:
    """SHA-256 of everything the caller said but the request_id, unlike that of any message to ingest."""
    changes = {
        name: value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in update.changes.items()
    }
    body: Sequence[Any] = ["update", str(update.message_id), changes, update.etag]
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).digest()


async def _claim(tx: Transaction, update: MessageUpdate) -> bool:
    """Takes the request id, if there is one; False where this update was made before. Raises RequestIdReused."""
    if update.request_id is None:
        return True
    claim = Claim(update.request_id, digest(update), update.message_id)
    if await idempotency.claim_many(tx, update.tenant_id, [claim]):
        return True
    known = await idempotency.known(tx, update.tenant_id, [update.request_id])
    if known[update.request_id].body_digest != claim.body_digest:
        raise RequestIdReused
    return False


async def _as_it_is(tx: Transaction, update: MessageUpdate) -> StoredMessage:
    message = await messages.get(tx, update.message_id, [update.tenant_id])
    if message is None:
        raise NotFound
    return message

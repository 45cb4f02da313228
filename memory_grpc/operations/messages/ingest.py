"""Ingest: stores messages of one tenant with their embeddings, once for each request_id."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from memory_grpc import at_work, deadline, scoring
from memory_grpc.domain.messages import Ingested, NewMessage, PreparedMessage
from memory_grpc.domain.policy import Policy
from memory_grpc.errors import (
    EmbeddingUnavailable,
    FieldViolation,
    InvalidInput,
    ModelChanged,
    NotFound,
    QueueFull,
    RequestIdReused,
)
from memory_grpc.observability import metrics
from memory_grpc.offload import by_size
from memory_grpc.operations.messages import claims, twins
from memory_grpc.operations.messages.drafts import (
    DELETED,
    Draft,
    Drafts,
    body_digest,
    digests_of,
    distinct,
    is_reused,
    outcome,
)
from memory_grpc.operations.messages.group_commit import GroupCommit
from memory_grpc.operations.models.models import Model, Models
from memory_grpc.operations.policy.policies import Policies
from memory_grpc.operations.policy.quotas import Quotas
from memory_grpc.store import clock, embeddings, idempotency, jobs, lexical, reembedding
from memory_grpc.store import messages as message_store
from memory_grpc.store.database import Database, Transaction
from memory_grpc.store.idempotency import Claim
from memory_grpc.store.portions import portions

LONGEST_FUTURE = timedelta(days=1)
LONGEST_USER_ID = 128

# Calls of one message that are committed together at most.
_GROUP = 128


class Ingest:
    """Embeds first, outside any transaction; then stores everything in one."""

    def __init__(
        self,
        database: Database,
        models: Models,
        policies: Policies,
        quotas: Quotas,
        new_id: Callable[[], UUID],
        *,
        embed_later: bool,
        word_config: str,
        user_id_metadata_key: str,
    ) -> None:
        self._database = database
        self._models = models
        self._policies = policies
        self._quotas = quotas
        self._new_id = new_id
        self._embed_later = embed_later
        self._word_config = word_config
        self._user_id_metadata_key = user_id_metadata_key
        self._known = GroupCommit(self._look_up, most=_GROUP, name="ingest.look_up")
        self._stores = GroupCommit(self._store, most=_GROUP, name="ingest.store")

    async def __call__(self, messages: Sequence[NewMessage]) -> list[Ingested]:
        """Stores messages, all of one tenant and all or none; returns them in order.

        Messages that are to be embedded later, and all of them while the model is down, too slow for the call's
        deadline or has too much of the tenant's to do, are stored as ``pending`` with a job that embeds them. A message
        whose request_id has been seen, in this call or before, is not stored again: the stored one is returned, as
        ``repeated``. Single messages of concurrent calls are committed together, each for itself.

        Raises InvalidInput (a created_at in the future, an expires_at in the past), RequestIdReused (another body under
        a known request_id), NotFound (a repeat of what was deleted), QuotaExceeded, StoreUnavailable; nothing is stored
        then.
        After DeadlineExceeded they may have been.
        """
        while True:
            try:
                return await self.store(await self.draft(messages))
            except ModelChanged:  # between embedding and storing; nothing was stored
                continue

    async def draft(
        self, messages: Sequence[NewMessage], places: Sequence[int] | None = None, *, is_patient: bool = False
    ) -> Drafts:
        """The first half: everything but storing. ``places`` are what the messages are called in errors, their indexes
        unless given. Raises as a whole ingest, and QueueFull for those who are patient and come again."""
        tenant_id = messages[0].tenant_id
        policy = await self._policies.get(tenant_id)
        size = sum(message.size for message in messages)
        drafts = await by_size(size, self._drafts, messages, places or range(len(messages)), policy)
        digests = digests_of(drafts)
        known = await self._known((tenant_id,), (tenant_id, digests)) if digests else {}
        fresh = distinct(drafts, known)
        await self._quotas.check(tenant_id, [draft.message for draft in fresh])
        model, fresh = await self._embed(tenant_id, fresh, is_patient=is_patient)
        by_place = {draft.place: draft for draft in fresh}
        return Drafts(tenant_id, [by_place.get(d.place, d) for d in drafts], fresh, known, model)

    async def store(self, drafts: Drafts) -> list[Ingested]:
        """The second half. Raises as a whole ingest, and ModelChanged where the first is to be done again."""
        if len(drafts.drafts) == 1:
            key = (drafts.tenant_id, drafts.model.id if drafts.model else None)
            request_ids = frozenset(d.message.request_id for d in drafts.drafts if d.message.request_id is not None)
            return await self._stores(key, drafts, request_ids)
        (stored,) = await self._store([drafts])
        if isinstance(stored, Exception):
            raise stored
        return stored

    def _drafts(self, messages: Sequence[NewMessage], places: Sequence[int], policy: Policy) -> list[Draft]:
        return [
            Draft(self._of_user(m), place, policy, body_digest(m) if m.request_id is not None else None)
            for place, m in zip(places, messages, strict=True)
        ]

    async def _look_up(self, calls: Sequence[tuple[str, Mapping[UUID, bytes]]]) -> list[dict[UUID, Claim] | Exception]:
        """What is known of the request ids of calls of one tenant; RequestIdReused for a call of other bodies."""
        tenant_id = calls[0][0]
        async with self._database.transaction(tenant=tenant_id) as tx:
            known = await idempotency.known(tx, tenant_id, {id_ for _, digests in calls for id_ in digests})
        answers: list[dict[UUID, Claim] | Exception] = []
        for _, digests in calls:
            own = {id_: known[id_] for id_ in digests if id_ in known}
            answers.append(RequestIdReused() if is_reused(own, digests) else own)
        return answers

    async def _store(self, calls: Sequence[Drafts]) -> list[list[Ingested] | Exception]:
        """Stores the messages of calls of one tenant, embedded by one model, in one transaction: all calls or, when it
        raises, none. Raises ModelChanged when the model is not the tenant's any more."""
        tenant_id, model = calls[0].tenant_id, calls[0].model
        fresh = [draft for call in calls for draft in call.fresh]
        known = {id_: claim for call in calls for id_, claim in call.known.items()}
        asked = [draft.message for call in calls for draft in call.drafts if draft.message.keep_request_id]
        kept = {message.request_id for message in asked if message.request_id is not None}
        said = [draft.message for draft in fresh]
        async with (
            self._quotas.room(tenant_id, said) as room,
            self._database.transaction(tenant=tenant_id, plan="once", pipelined=True) as tx,
        ):
            wanted = await self._models.check_write(tx, tenant_id, model) if model else None
            ready = await self._prepare(tx, fresh)
            said_before = await twins.found(tx, tenant_id, ready)
            known |= await claims.claim(tx, tenant_id, twins.claimed(ready, said_before), kept)
            erased = await claims.erased(tx, tenant_id, ready)
            new = [(d, one) for d, one in ready if d.message.request_id not in known and d not in said_before]
            twins.check(ready, new, said_before)
            ready = new
            await room.take([draft.message for draft, _ in ready])
            words = await lexical.begin(tx, tenant_id, self._word_config) if ready else None
            stored = await message_store.insert_many(tx, tenant_id, [one for _, one in ready])
            await lexical.insert_many(tx, tenant_id, self._word_config, stored, words)
            vectors = {one.id: draft.vectors for draft, one in ready if draft.vectors is not None}
            if vectors and model:
                await embeddings.insert_many(tx, tenant_id, model.id, vectors)
                if wanted is not None:
                    await reembedding.note_many(tx, tenant_id, list(vectors))
            if len(vectors) < len(stored):
                await jobs.enqueue_many(tx, tenant_id, [s.id for s in stored if s.id not in vectors])
            repeated = await claims.stored_before(tx, tenant_id, known, said_before.values())
            tx.rests_on_earlier = bool(repeated)
            if erased is not None and await erased.get():
                raise NotFound(DELETED)
            if late := [known[id_] for id_ in sorted(kept & known.keys()) if claims.is_kept_late(known[id_], repeated)]:
                await idempotency.keep_many(tx, tenant_id, late)
            own = {draft: s for (draft, _), s in zip(ready, stored, strict=True)}
            answers = [outcome(call, own, known, repeated, said_before) for call in calls]
            if len(calls) == 1 and isinstance(answers[0], Exception):
                raise answers[0]  # all or nothing; each of several calls is one message
        metrics.INGESTED.labels("completed").inc(len(vectors))
        metrics.INGESTED.labels("pending").inc(len(stored) - len(vectors))
        metrics.INGEST_REPEATED.inc(sum(len(call.drafts) for call in calls) - len(stored))
        return answers

    async def _embed(
        self, tenant_id: str, drafts: Sequence[Draft], *, is_patient: bool
    ) -> tuple[Model | None, list[Draft]]:
        """The drafts, with vectors where they are to be embedded now, and the model of those; None where there is
        nothing to embed, and while the model is down or full."""
        now = [d for d in drafts if not (self._embed_later if d.message.embed_later is None else d.message.embed_later)]
        if not now:
            return None, list(drafts)
        try:
            model = await self._models.of(tenant_id)
            # A text of 100,000 characters is hundreds of windows: a model that is busy has it embedded afterwards.
            async with at_work.paused(), deadline.most_of_it(EmbeddingUnavailable):
                vectors = await model.embedder.embed_messages([d.message.content for d in now], tenant=tenant_id)
        except EmbeddingUnavailable:
            return None, list(drafts)
        except QueueFull:
            if is_patient:
                raise
            return None, list(drafts)
        embedded = dict(zip(now, vectors, strict=True))
        return model, [replace(d, vectors=embedded.get(d)) for d in drafts]

    async def _prepare(self, tx: Transaction, drafts: Sequence[Draft]) -> list[tuple[Draft, PreparedMessage]]:
        """Drafts with what will be stored: an id, in their order, and their importance."""
        now: datetime | None = None
        if any(d.message.created_at is not None or d.message.expires_at is not None for d in drafts):
            now = await clock.now(tx)
            _check_times(drafts, now)
        prepared = []
        async for some in portions(drafts, lambda draft: 0):
            for draft in some:
                m = draft.message
                age = (now - m.created_at).total_seconds() if now and m.created_at else 0.0
                importance = scoring.importance(age, m.role, m.importance_override, draft.policy.importance)
                status = "pending" if draft.vectors is None else "completed"
                prepared.append((draft, PreparedMessage(self._new_id(), m, importance, status)))
        return prepared

    def _of_user(self, message: NewMessage) -> NewMessage:
        """The message with the user that its metadata names, where it names none itself."""
        if message.user_id is not None or not self._user_id_metadata_key:
            return message
        user_id = message.metadata.get(self._user_id_metadata_key)
        if isinstance(user_id, int) and not isinstance(user_id, bool):
            user_id = str(user_id)
        if isinstance(user_id, str) and 0 < len(user_id) <= LONGEST_USER_ID:
            return replace(message, user_id=user_id)
        return message


def _check_times(drafts: Sequence[Draft], now: datetime) -> None:
    violations = []
    for draft in drafts:
        m = draft.message
        if m.created_at and m.created_at > now + LONGEST_FUTURE:
            violations.append(FieldViolation(f"messages[{draft.place}].created_at", "is more than a day in the future"))
        if m.expires_at and m.expires_at <= now:
            violations.append(FieldViolation(f"messages[{draft.place}].expires_at", "must be in the future"))
    if violations:
        raise InvalidInput(violations)

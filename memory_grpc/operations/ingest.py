"""Ingest: stores messages of one tenant with their embeddings, once for each request_id."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from memory_grpc import deadline, scoring
from memory_grpc.domain import Ingested, NewMessage, Policy, StoredMessage
from memory_grpc.errors import (
    EmbeddingUnavailable,
    FieldViolation,
    InvalidInput,
    ModelChanged,
    NotFound,
    RequestIdReused,
)
from memory_grpc.observability import metrics
from memory_grpc.operations.groups import Groups
from memory_grpc.operations.models import Model, Models
from memory_grpc.operations.policy import Policies
from memory_grpc.store import embeddings, idempotency, jobs, lexical, reembed
from memory_grpc.store import messages as table
from memory_grpc.store.database import Database, Transaction
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.idempotency import Claim

LONGEST_FUTURE = timedelta(days=1)

# Calls of one message that are committed together at most.
_GROUP = 128

# Holds the place of a time that the database gives.
_LATER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """A call with everything that storing it takes; ``fresh`` are those of its messages that are not known."""

    tenant_id: str
    messages: Sequence[NewMessage]
    fresh: Sequence[NewMessage]
    policy: Policy
    digests: Mapping[UUID, bytes]
    known: Mapping[UUID, Claim]
    model: Model | None
    vectors: Mapping[int, Vectors]


class Ingest:
    """Embeds first, outside any transaction; then stores everything in one."""

    def __init__(
        self,
        database: Database,
        models: Models,
        policies: Policies,
        new_id: Callable[[], UUID],
        *,
        embed_later: bool,
        text_config: str,
    ) -> None:
        self._database = database
        self._models = models
        self._policies = policies
        self._new_id = new_id
        self._embed_later = embed_later
        self._text_config = text_config
        self._known = Groups(self._look_up, most=_GROUP)
        self._stores = Groups(self._store, most=_GROUP)

    async def __call__(self, messages: Sequence[NewMessage]) -> list[Ingested]:
        """Stores messages, all of one tenant and all or none; returns them in order.

        Messages that are to be embedded later, and all of them while the model is down or too slow for the call's
        deadline, are stored as ``pending`` with a job that embeds them. A message whose request_id has been seen is not
        stored again: the stored one is returned, as ``repeated``. Single messages of concurrent calls are committed
        together, each for itself.

        Raises InvalidInput (a created_at in the future), RequestIdReused (another body under a known request_id),
        QueueFull, StoreUnavailable; nothing is stored then. After DeadlineExceeded they may have been.
        """
        while True:
            try:
                return await self._once(messages)
            except ModelChanged:  # between embedding and storing; nothing was stored
                continue

    async def _once(self, messages: Sequence[NewMessage]) -> list[Ingested]:
        tenant_id = messages[0].tenant_id
        policy = await self._policies.get(tenant_id)
        digests = {m.request_id: _digest(m) for m in messages if m.request_id is not None}
        known = await self._known((tenant_id,), (tenant_id, digests)) if digests else {}
        fresh = [m for m in messages if m.request_id is None or m.request_id not in known]
        model, vectors = await self._embed(tenant_id, fresh)
        call = _Call(tenant_id, messages, fresh, policy, digests, known, model, vectors)
        if len(messages) == 1:
            return await self._stores((tenant_id, model.id if model else None), call, frozenset(digests))
        (stored,) = await self._store([call])
        if isinstance(stored, Exception):
            raise stored
        return stored

    async def _look_up(self, calls: Sequence[tuple[str, Mapping[UUID, bytes]]]) -> list[dict[UUID, Claim] | Exception]:
        """What is known of the request ids of calls of one tenant; RequestIdReused for a call of other bodies."""
        tenant_id = calls[0][0]
        async with self._database.transaction(tenant=tenant_id) as tx:
            known = await idempotency.known(tx, tenant_id, {id_ for _, digests in calls for id_ in digests})
        answers: list[dict[UUID, Claim] | Exception] = []
        for _, digests in calls:
            own = {id_: known[id_] for id_ in digests if id_ in known}
            answers.append(RequestIdReused() if _is_reused(own, digests) else own)
        return answers

    async def _store(self, calls: Sequence[_Call]) -> list[list[Ingested] | Exception]:
        """Stores the messages of calls of one tenant, embedded by one model, in one transaction: all calls or, when it
        raises, none. Raises ModelChanged when the model is not the tenant's any more."""
        tenant_id, model = calls[0].tenant_id, calls[0].model
        fresh = [(m, call.policy) for call in calls for m in call.fresh]
        vectors = {key: v for call in calls for key, v in call.vectors.items()}
        digests = {id_: digest for call in calls for id_, digest in call.digests.items()}
        known = {id_: claim for call in calls for id_, claim in call.known.items()}
        async with self._database.transaction(tenant=tenant_id, plan="once", pipelined=True) as tx:
            wanted = await self._models.check_write(tx, tenant_id, model) if model else None
            drafts = await self._draft(tx, fresh, vectors)
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
            if embedded and model:
                await embeddings.insert_many(tx, tenant_id, model.id, embedded)
                if wanted is not None:
                    await reembed.note_many(tx, tenant_id, list(embedded))
            if len(embedded) < len(stored):
                await jobs.enqueue_many(tx, tenant_id, [s.id for s in stored if s.id not in embedded])
            found = await table.get_many(tx, tenant_id, [c.message_id for c in known.values()]) if known else None
        repeated = await found.get() if found else {}
        metrics.INGESTED.labels("completed").inc(len(embedded))
        metrics.INGESTED.labels("pending").inc(len(stored) - len(embedded))
        metrics.INGEST_REPEATED.inc(sum(len(call.messages) for call in calls) - len(stored))
        return [_answer(call.messages, by_message, known, repeated) for call in calls]

    async def _embed(self, tenant_id: str, messages: Sequence[NewMessage]) -> tuple[Model | None, dict[int, Vectors]]:
        """The vectors of the messages that are to be embedded now, by ``id(message)``, and their model; none of both
        where there is nothing to embed, and while the model is down."""
        now = [m for m in messages if not (self._embed_later if m.embed_later is None else m.embed_later)]
        if not now:
            return None, {}
        try:
            model = await self._models.of(tenant_id)
            # A text of 100,000 characters is hundreds of windows: a model that is busy has it embedded afterwards.
            async with deadline.most_of_it(EmbeddingUnavailable):
                vectors = await model.embedder.embed_messages([m.content for m in now])
        except EmbeddingUnavailable:
            return None, {}
        return model, {id(m): v for m, v in zip(now, vectors, strict=True)}

    async def _draft(
        self, tx: Transaction, messages: Sequence[tuple[NewMessage, Policy]], vectors: Mapping[int, Vectors]
    ) -> list[tuple[NewMessage, StoredMessage]]:
        """Messages as they will be stored, with an id and their importance by the policy that stands with each."""
        now = None
        if any(m.created_at is not None for m, _ in messages):
            row = await tx.one("database.now")
            now = row["now"] if row else None
            _check_not_future([m for m, _ in messages], now)
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
            for m, policy in messages
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
    if _is_reused(known, digests):
        raise RequestIdReused
    return known


def _is_reused(known: Mapping[UUID, Claim], digests: Mapping[UUID, bytes]) -> bool:
    """Whether a known request id stands for another body now."""
    return any(claim.body_digest != digests[request_id] for request_id, claim in known.items())


def _check_not_future(messages: Sequence[NewMessage], now: datetime | None) -> None:
    late = [i for i, m in enumerate(messages) if now and m.created_at and m.created_at > now + LONGEST_FUTURE]
    if late:
        raise InvalidInput([FieldViolation(f"messages[{i}].created_at", "is more than a day ahead") for i in late])


def _answer(
    messages: Sequence[NewMessage],
    by_message: Mapping[int, StoredMessage],
    known: Mapping[UUID, Claim],
    repeated: Mapping[UUID, StoredMessage],
) -> list[Ingested] | Exception:
    """What became of the messages of one call; NotFound when one is a repeat of what is no longer there."""
    answer = []
    for message in messages:
        stored = by_message.get(id(message))
        if stored is None:
            assert message.request_id is not None, "only a request_id makes a repeat"
            found = repeated.get(known[message.request_id].message_id)
            if found is None:
                return NotFound("The message of this request_id was deleted by retention.")
            answer.append(Ingested(found, repeated=True))
        else:
            answer.append(Ingested(stored, repeated=False))
    return answer


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

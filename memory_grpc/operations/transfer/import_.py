"""Import: stores messages of an export as they were, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.transfer import Imported, Transferred
from memory_grpc.embedding.provider import Vectors
from memory_grpc.errors import EmbeddingUnavailable, FieldViolation, InvalidInput, ModelChanged
from memory_grpc.operations.messages.ingest import LONGEST_FUTURE
from memory_grpc.operations.models.models import Model, Models
from memory_grpc.operations.policy.quotas import Quotas
from memory_grpc.operations.transfer.vectors import OfRevisions, of_messages, of_revisions
from memory_grpc.store import clock, embeddings, erasure, jobs, lexical, reembedding, transfer, transfer_revisions
from memory_grpc.store.database import Database, Transaction


class _Erased(Exception):
    """A message of the call was deleted while it was stored."""


class Import:
    """All messages of a call or none, in one transaction."""

    def __init__(self, database: Database, models: Models, quotas: Quotas, *, word_config: str) -> None:
        self._database = database
        self._quotas = quotas
        self._models = models
        self._word_config = word_config

    async def __call__(self, tenant_id: str, sent: Sequence[Transferred]) -> Imported:
        """Stores messages with the vectors that the tenant's model made of them; the others are embedded afterwards.

        Raises InvalidInput (an id twice, a time in the future, vectors that are none), QuotaExceeded, StoreUnavailable;
        nothing is stored then. After DeadlineExceeded they may have been.
        """
        _check_ids(sent)
        _check_revisions(sent)
        while True:
            model = await self._model(tenant_id) if any(one.vectors or one.revisions for one in sent) else None
            vectors = of_messages(sent, model)
            past = await of_revisions(tenant_id, sent, model)
            store = partial(self._store, tenant_id, sent, model, vectors, past)
            try:
                return await self._quotas.asked_twice(tenant_id, store)
            except (ModelChanged, _Erased):  # nothing was stored
                continue

    async def _model(self, tenant_id: str) -> Model | None:
        try:
            return await self._models.of(tenant_id)
        except EmbeddingUnavailable:
            return None

    async def _store(
        self,
        tenant_id: str,
        sent: Sequence[Transferred],
        model: Model | None,
        vectors: dict[UUID, Vectors],
        past: OfRevisions,
    ) -> Imported:
        async with (
            self._quotas.room(tenant_id, [one.message for one in sent]) as room,
            self._database.transaction(tenant=tenant_id, plan="once") as tx,
        ):
            _check_times(sent, await clock.now(tx))
            wanted = await self._models.check_write(tx, tenant_id, model) if (vectors or past) and model else None
            ids = [one.message.id for one in sent]
            erased = await (await erasure.erased_among(tx, tenant_id, "message", ids)).get()
            ready = [
                replace(one.message, embedding_status="completed" if one.message.id in vectors else "pending")
                for one in sent
            ]
            stored = await transfer.insert_many(tx, tenant_id, [m for m in ready if m.id not in erased])
            # It waited for deletions that held these ids.
            if await (await erasure.erased_among(tx, tenant_id, "message", stored)).get():
                raise _Erased
            new = [message for message in ready if message.id in stored]
            await room.take(new)
            past_ones = [was.revision.message for one in sent if one.message.id in stored for was in one.revisions]
            await room.take(past_ones, adds=False)
            for one in sent:
                if one.message.id in stored:
                    await self._store_revisions(tx, tenant_id, one, model, past)
            await self._project(tx, tenant_id, new)
            own = {id_: vector for id_, vector in vectors.items() if id_ in stored}
            if own and model:
                await embeddings.insert_many(tx, tenant_id, model.id, own)
                if wanted is not None:
                    await reembedding.note_many(tx, tenant_id, list(own))
            pending = [message.id for message in new if message.id not in own]
            if pending:
                await jobs.enqueue_many(tx, tenant_id, pending)
            known = {place: m for place, m in enumerate(ready) if m.id not in stored and m.id not in erased}
            there = await transfer.there(tx, tenant_id, [m.id for m in known.values()])
            if len(there) < len(known):  # gone since their ids were found taken
                raise _Erased
        same = {place for place, message in known.items() if _says(message) == _says(there[message.id])}
        return Imported(
            stored=len(new),
            pending=len(pending),
            repeated=tuple(sorted(same)),
            conflicting=tuple(sorted(known.keys() - same)),
            erased=tuple(place for place, message in enumerate(ready) if message.id in erased),
        )

    async def _store_revisions(
        self, tx: Transaction, tenant_id: str, one: Transferred, model: Model | None, past: OfRevisions
    ) -> None:
        for was in one.revisions:
            vectors = past.get((one.message.id, was.revision.message.revision))
            model_id = model.id if model else None
            await transfer_revisions.insert(tx, tenant_id, self._word_config, was.revision, model_id, vectors)

    async def _project(self, tx: Transaction, tenant_id: str, new: Sequence[StoredMessage]) -> None:
        await lexical.insert_many(tx, tenant_id, self._word_config, new)
        if archived := [message.id for message in new if message.archived_at is not None]:
            await transfer.archive_words(tx, tenant_id, archived)


def _says(message: StoredMessage) -> tuple[object, ...]:
    """What makes it the same message: what retention and pins do to it does not."""
    return (
        message.conversation_id,
        message.user_id,
        message.role,
        message.name,
        message.content,
        message.metadata,
        message.created_at,
    )


def _check_ids(sent: Sequence[Transferred]) -> None:
    first: dict[UUID, int] = {}
    twice = [
        FieldViolation(f"messages[{place}].id", f"is the same as that of messages[{first[one.message.id]}]")
        for place, one in enumerate(sent)
        if first.setdefault(one.message.id, place) != place
    ]
    if twice:
        raise InvalidInput(twice)


def _check_times(sent: Sequence[Transferred], now: datetime) -> None:
    latest = now + LONGEST_FUTURE
    late = [f"messages[{place}].created_at" for place, one in enumerate(sent) if one.message.created_at > latest]
    late += [
        f"messages[{place}].revisions[{number}].valid_to"
        for place, one in enumerate(sent)
        for number, was in enumerate(one.revisions)
        if was.revision.valid_to > latest
    ]
    if late:
        raise InvalidInput([FieldViolation(field, "is more than a day in the future") for field in late])


def _check_revisions(sent: Sequence[Transferred]) -> None:
    faults = []
    for place, one in enumerate(sent):
        following = one.message.revision
        for number, was in reversed(list(enumerate(one.revisions))):
            field = f"messages[{place}].revisions[{number}]"
            if was.revision.message.revision >= following:
                faults.append(FieldViolation(f"{field}.revision", "must be lower than that of the next one"))
            if was.revision.valid_from > was.revision.valid_to:
                faults.append(FieldViolation(f"{field}.valid_to", "must not be before valid_from"))
            following = was.revision.message.revision
    if faults:
        raise InvalidInput(faults)

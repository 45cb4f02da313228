"""Import: stores messages of an export as they were, each once."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import partial
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.revisions import Revision
from memory_grpc.domain.transfer import FurtherRevisions, Imported, Transferred
from memory_grpc.embedding.provider import Vectors
from memory_grpc.errors import EmbeddingUnavailable, ModelChanged
from memory_grpc.offload import by_size
from memory_grpc.operations.models.models import Model, Models
from memory_grpc.operations.policy.quotas import Quotas, Room
from memory_grpc.operations.transfer.checks import check_ids, check_revisions, check_times
from memory_grpc.operations.transfer.vectors import OfRevisions, of_messages, of_revisions
from memory_grpc.store import (
    clock,
    embeddings,
    erasure,
    jobs,
    lexical,
    models,
    reembedding,
    transfer,
    transfer_revisions,
)
from memory_grpc.store.database import Database, Transaction

# To check one takes as long as work on so many bytes.
_A_REVISION = 20


class _Erased(Exception):
    """A message of the call was deleted while it was stored."""


class Import:
    """All messages and revisions of a call or none, in one transaction."""

    def __init__(self, database: Database, models: Models, quotas: Quotas, *, word_config: str) -> None:
        self._database = database
        self._quotas = quotas
        self._models = models
        self._word_config = word_config

    async def __call__(
        self, tenant_id: str, sent: Sequence[Transferred], further: Sequence[FurtherRevisions] = ()
    ) -> Imported:
        """Stores messages with the vectors that the tenant's model made of them; the others are embedded afterwards.
        Then further revisions, of these messages or of those that are there.

        Raises InvalidInput (an id twice, a time in the future, times or numbers out of order, vectors that are none),
        QuotaExceeded, StoreUnavailable; nothing is stored then. After DeadlineExceeded they may have been.
        """
        check_ids(sent)
        await by_size(_A_REVISION * _count(sent, further), check_revisions, sent, further)
        while True:
            need_model = any(one.vectors or one.revisions for one in sent) or any(one.revisions for one in further)
            model = await self._model(tenant_id) if need_model else None
            vectors = of_messages(sent, model)
            past = await of_revisions(tenant_id, sent, further, model)
            store = partial(self._store, tenant_id, sent, further, model, vectors, past)
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
        further: Sequence[FurtherRevisions],
        model: Model | None,
        vectors: dict[UUID, Vectors],
        past: OfRevisions,
    ) -> Imported:
        async with (
            self._quotas.room(tenant_id, [one.message for one in sent]) as room,
            self._database.transaction(tenant=tenant_id, plan="once") as tx,
        ):
            now = await clock.now(tx)
            await by_size(_A_REVISION * _count(sent, further), check_times, sent, further, now)
            wanted = await self._models.check_write(tx, tenant_id, model) if (vectors or past) and model else None
            if _count(sent, further):  # the messages that are there stay as they are
                await models.lock_tenant_shared(tx, tenant_id)
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
            past_ones = [was.revision for one in sent if one.message.id in stored for was in one.revisions]
            await self._store_revisions(tx, room, tenant_id, past_ones, model, past)
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
            others = {message.id for place, message in known.items() if place not in same}
            # An import that was cut off, or another export, may have brought a part of what these were.
            again = [
                FurtherRevisions(one.message.id, one.message.revision, one.revisions)
                for place, one in enumerate(sent)
                if place in same and one.revisions
            ]
            ignored: list[int] = []
            if again or further:
                ignored = await self._store_further(tx, room, tenant_id, [*again, *further], others, model, past)
        return Imported(
            stored=len(new),
            pending=len(pending),
            repeated=tuple(sorted(same)),
            conflicting=tuple(sorted(known.keys() - same)),
            erased=tuple(place for place, message in enumerate(ready) if message.id in erased),
            ignored=tuple(place - len(again) for place in ignored if place >= len(again)),
        )

    async def _store_revisions(
        self,
        tx: Transaction,
        room: Room,
        tenant_id: str,
        revisions: Sequence[Revision],
        model: Model | None,
        past: OfRevisions,
    ) -> None:
        await room.take([was.message for was in revisions], adds=False)
        model_id = model.id if model else None
        await transfer_revisions.insert_many(tx, tenant_id, self._word_config, revisions, model_id, past)

    async def _store_further(
        self,
        tx: Transaction,
        room: Room,
        tenant_id: str,
        further: Sequence[FurtherRevisions],
        others: AbstractSet[UUID],
        model: Model | None,
        past: OfRevisions,
    ) -> list[int]:
        """Returns the places of those that belong to no message that is there; what is there of ``others`` is something
        else."""
        there = await transfer.lock(tx, tenant_id, {one.message_id for one in further} - others)
        ignored = []
        for place, one in enumerate(further):
            message, revisions = there.get(one.message_id), [was.revision for was in one.revisions]
            new = None
            if message is not None and message.revision >= one.message_revision:
                new = await transfer_revisions.missing(tx, tenant_id, message.id, revisions)
            if message is None or new is None:
                ignored.append(place)
                continue
            await self._store_revisions(tx, room, tenant_id, [_of(message, was) for was in new], model, past)
        return ignored

    async def _project(self, tx: Transaction, tenant_id: str, new: Sequence[StoredMessage]) -> None:
        await lexical.insert_many(tx, tenant_id, self._word_config, new)
        if archived := [message.id for message in new if message.archived_at is not None]:
            await transfer.archive_words(tx, tenant_id, archived)


def _count(sent: Sequence[Transferred], further: Sequence[FurtherRevisions]) -> int:
    return sum(len(one.revisions) for one in sent) + sum(len(more.revisions) for more in further)


def _of(message: StoredMessage, was: Revision) -> Revision:
    """The same with what a message never changes."""
    return replace(was, message=replace(was.message, role=message.role, language=message.language))


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

"""Import: stores messages of an export as they were, each once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import numpy as np

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.transfer import Imported, MessageVectors, Transferred
from memory_grpc.embedding.provider import Vectors
from memory_grpc.errors import EmbeddingUnavailable, FieldViolation, InvalidInput, ModelChanged
from memory_grpc.operations.messages.ingest import LONGEST_FUTURE
from memory_grpc.operations.models.models import Model, Models
from memory_grpc.store import clock, embeddings, erasure, jobs, lexical, messages, reembedding, transfer
from memory_grpc.store.database import Database, Transaction

# A vector has length 1, but for what 16 bits make of it.
_LENGTH_TOLERANCE = 0.01


class Import:
    """All messages of a call or none, in one transaction."""

    def __init__(self, database: Database, models: Models, *, text_config: str) -> None:
        self._database = database
        self._models = models
        self._text_config = text_config

    async def __call__(self, tenant_id: str, sent: Sequence[Transferred]) -> Imported:
        """Stores messages with the vectors that the tenant's model made of them; the others are embedded afterwards.

        Raises InvalidInput (an id twice, a time in the future, vectors that are none), StoreUnavailable; nothing is
        stored then. After DeadlineExceeded they may have been.
        """
        _check_ids(sent)
        while True:
            model = await self._model(tenant_id) if any(one.vectors for one in sent) else None
            vectors = _vectors(sent, model)
            try:
                return await self._store(tenant_id, sent, model, vectors)
            except ModelChanged:  # nothing was stored
                continue

    async def _model(self, tenant_id: str) -> Model | None:
        try:
            return await self._models.of(tenant_id)
        except EmbeddingUnavailable:
            return None

    async def _store(
        self, tenant_id: str, sent: Sequence[Transferred], model: Model | None, vectors: dict[UUID, Vectors]
    ) -> Imported:
        async with self._database.transaction(tenant=tenant_id, plan="once") as tx:
            _check_times(sent, await clock.now(tx))
            wanted = await self._models.check_write(tx, tenant_id, model) if vectors and model else None
            ready = [
                replace(one.message, embedding_status="completed" if one.message.id in vectors else "pending")
                for one in sent
            ]
            stored = await transfer.insert_many(tx, tenant_id, ready)
            # Afterwards: an insert waits for a deletion that holds the id, so that none is looked up too early.
            erased = await erasure.keep_out(tx, tenant_id, [message.id for message in ready])
            stored -= erased
            new = [message for message in ready if message.id in stored]
            await self._project(tx, tenant_id, new)
            own = {id_: vector for id_, vector in vectors.items() if id_ in stored}
            if own and model:
                await embeddings.insert_many(tx, tenant_id, model.id, own)
                if wanted is not None:
                    await reembedding.note_many(tx, tenant_id, list(own))
            pending = [message.id for message in new if message.id not in own]
            if pending:
                await jobs.enqueue_many(tx, tenant_id, pending)
            known = {place: message for place, message in enumerate(ready) if message.id not in stored | erased}
            there = await (await messages.get_many(tx, tenant_id, [m.id for m in known.values()])).get()
        same = {place for place, message in known.items() if _says(message) == _says(there[message.id])}
        gone = tuple(place for place, message in enumerate(ready) if message.id in erased)
        return Imported(len(new), len(pending), tuple(sorted(same)), tuple(sorted(known.keys() - same)), gone)

    async def _project(self, tx: Transaction, tenant_id: str, new: Sequence[StoredMessage]) -> None:
        await lexical.insert_many(tx, tenant_id, self._text_config, new)
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


def _vectors(sent: Sequence[Transferred], model: Model | None) -> dict[UUID, Vectors]:
    """The vectors that can be stored: those of the tenant's model. Raises InvalidInput for what is no vector of it."""
    if model is None:
        return {}
    identity = model.embedder.identity
    found = {}
    for place, one in enumerate(sent):
        if one.vectors is not None and one.vectors.model == str(identity):
            found[one.message.id] = _read(one.vectors, identity.dimensions, place)
    return found


def _read(vectors: MessageVectors, dimensions: int, place: int) -> Vectors:
    for number, window in enumerate(vectors.windows):
        if len(window) != 2 * dimensions:
            field = f"messages[{place}].embedding.windows[{number}]"
            raise InvalidInput.of(field, f"must have {2 * dimensions} bytes")
    read = np.frombuffer(b"".join(vectors.windows), dtype="<f2").reshape(-1, dimensions).astype(np.float32)
    if not np.all(np.abs(np.linalg.norm(read, axis=1) - 1) < _LENGTH_TOLERANCE):  # NaN is none either
        raise InvalidInput.of(f"messages[{place}].embedding.windows", "must be vectors of length 1")
    return read


def _check_ids(sent: Sequence[Transferred]) -> None:
    first: dict[UUID, int] = {}
    twice = [
        FieldViolation(f"messages[{place}].id", f"is that of messages[{first[one.message.id]}]")
        for place, one in enumerate(sent)
        if first.setdefault(one.message.id, place) != place
    ]
    if twice:
        raise InvalidInput(twice)


def _check_times(sent: Sequence[Transferred], now: datetime) -> None:
    late = [place for place, one in enumerate(sent) if one.message.created_at > now + LONGEST_FUTURE]
    if late:
        raise InvalidInput(
            [FieldViolation(f"messages[{place}].created_at", "is more than a day ahead") for place in late]
        )

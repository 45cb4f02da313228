"""The vectors that come with an import: those of the tenant's model are taken, as far as they are vectors."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import numpy as np

from memory_grpc import deadline
from memory_grpc.domain.transfer import FurtherRevisions, MessageVectors, Transferred
from memory_grpc.embedding.provider import Vectors
from memory_grpc.errors import EmbeddingUnavailable, InvalidInput, QueueFull
from memory_grpc.operations.models.models import Model
from memory_grpc.operations.transfer.checks import histories

# A vector has length 1, but for what 16 bits make of it.
_LENGTH_TOLERANCE = 0.01

OfRevisions = dict[tuple[UUID, int], Vectors]


def of_messages(sent: Sequence[Transferred], model: Model | None) -> dict[UUID, Vectors]:
    """Of messages, by their ids. Raises InvalidInput for what is no vector of the model."""
    if model is None:
        return {}
    return {
        one.message.id: _read(one.vectors, model, f"messages[{place}]")
        for place, one in enumerate(sent)
        if one.vectors is not None and one.vectors.model == str(model.embedder.identity)
    }


async def of_revisions(
    tenant_id: str, sent: Sequence[Transferred], further: Sequence[FurtherRevisions], model: Model | None
) -> OfRevisions:
    """Of revisions, by the message's id and their numbers; made now where none came along: nothing makes them later.

    Where the model is down or full they are missing: a search of the past does not find them then.
    """
    if model is None:
        return {}
    found: OfRevisions = {}
    texts: dict[tuple[UUID, int], str] = {}
    for holder, _, revisions in histories(sent, further):
        for number, past in enumerate(revisions):
            key = (past.revision.message.id, past.revision.message.revision)
            if past.vectors is not None and past.vectors.model == str(model.embedder.identity):
                found[key] = _read(past.vectors, model, f"{holder}.revisions[{number}]")
            else:
                texts[key] = past.revision.message.content
    if texts:
        try:
            async with deadline.most_of_it(EmbeddingUnavailable):
                made = await model.embedder.embed_messages(list(texts.values()), tenant=tenant_id)
        except (EmbeddingUnavailable, QueueFull):
            return found
        found |= zip(texts, made, strict=True)
    return found


def _read(vectors: MessageVectors, model: Model, field: str) -> Vectors:
    dimensions = model.embedder.identity.dimensions
    for number, window in enumerate(vectors.windows):
        if len(window) != 2 * dimensions:
            raise InvalidInput.of(f"{field}.embedding.windows[{number}]", f"must have {2 * dimensions} bytes")
    read = np.frombuffer(b"".join(vectors.windows), dtype="<f2").reshape(-1, dimensions).astype(np.float32)
    if not np.all(np.abs(np.linalg.norm(read, axis=1) - 1) < _LENGTH_TOLERANCE):  # NaN is none either
        raise InvalidInput.of(f"{field}.embedding.windows", "must be vectors of length 1")
    return read

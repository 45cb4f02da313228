"""message_embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from memory_grpc.store.database import Params, Transaction
from memory_grpc.store.portions import portions

Vectors = NDArray[np.float32]


async def insert_many(tx: Transaction, tenant_id: str, model_id: int, vectors: Mapping[UUID, Vectors]) -> None:
    """Stores the vectors of messages of one tenant: for each id a float32 array [windows, dimensions].

    For messages that were stored before this transaction call it under ``models.lock_tenant_shared``: what is archived
    meanwhile would not be marked.
    """
    windows = [(id_, chunk, vector) for id_, array in vectors.items() for chunk, vector in enumerate(array)]
    async for some in portions(windows, lambda window: window[2].nbytes):
        await tx.execute("embeddings.insert_many", _params(tenant_id, model_id, some))


async def others(tx: Transaction, tenant_id: str, model_id: int, after: UUID, limit: int) -> list[UUID]:
    """Messages past ``after``, in order, that have vectors of other models."""
    params = {"tenant_id": tenant_id, "model_id": model_id, "after": after, "limit": limit}
    return [row["message_id"] for row in await tx.all("embeddings.others", params)]


async def remove_others(tx: Transaction, tenant_id: str, model_id: int, message_ids: Sequence[UUID]) -> None:
    """Removes the vectors that other models made of these messages."""
    params = {"tenant_id": tenant_id, "model_id": model_id, "message_ids": list(message_ids)}
    await tx.execute("embeddings.remove_others", params)


def _params(tenant_id: str, model_id: int, windows: Sequence[tuple[UUID, int, Vectors]]) -> Params:
    return {
        "tenant_id": tenant_id,
        "model_id": model_id,
        "message_ids": [id_ for id_, _, _ in windows],
        "chunks": [chunk for _, chunk, _ in windows],
        "embeddings": [HalfVector(vector) for _, _, vector in windows],
    }

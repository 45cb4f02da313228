"""embedding_models and message_embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import HalfVector

from memory_grpc.store.database import Transaction

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A row of embedding_models."""

    id: int
    name: str
    revision: str
    precision: str
    dimensions: int


async def active_model(tx: Transaction) -> StoredModel | None:
    """The model whose embeddings searches read, if there is one yet."""
    row = await tx.one("models.active")
    return StoredModel(**row) if row else None


async def activate_first_model(tx: Transaction, *, name: str, revision: str, precision: str, dimensions: int) -> None:
    """Makes this model the active one, unless the database has one."""
    await tx.execute(
        "models.activate_first",
        {"name": name, "revision": revision, "precision": precision, "dimensions": dimensions},
    )


async def insert_many(tx: Transaction, tenant_id: str, model_id: int, vectors: Mapping[UUID, Vectors]) -> None:
    """Stores the vectors of messages of one tenant: for each id a float32 array [windows, dimensions]."""
    windows = [(id_, chunk, vector) for id_, array in vectors.items() for chunk, vector in enumerate(array)]
    await tx.execute(
        "embeddings.insert_many",
        {
            "tenant_id": tenant_id,
            "model_id": model_id,
            "message_ids": [id_ for id_, _, _ in windows],
            "chunks": [chunk for _, chunk, _ in windows],
            "embeddings": [HalfVector(vector) for _, _, vector in windows],
        },
    )

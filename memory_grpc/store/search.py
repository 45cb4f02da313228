"""The ranking statements."""

from __future__ import annotations

from typing import Any

from pgvector import HalfVector

from memory_grpc.domain import Hit, ScoreWeights, SearchFilters
from memory_grpc.store.database import Row, Transaction
from memory_grpc.store.embeddings import Vectors

# Windows kept beyond top_k: most messages have one window, so that this is nearly always enough.
_SPARE_WINDOWS = 16


async def semantic(
    tx: Transaction,
    tenant_id: str,
    model_id: int,
    query: Vectors,
    filters: SearchFilters,
    weights: ScoreWeights,
    *,
    top_k: int,
) -> list[Hit]:
    """The best ``top_k`` messages by the documented score, best first. ``query`` is a float32 array [dimensions]."""
    params = _filter_params(tenant_id, model_id, filters) | {
        "query": HalfVector(query),
        "top_k": top_k,
        "similarity_weight": weights.similarity,
        "importance_weight": weights.importance,
        "decay_weight": weights.decay,
    }
    if filters.candidate_limit is not None:
        return [_hit(row) for row in await tx.all("search.semantic_newest", params)]
    # A message of many windows can fill the kept windows alone: then more are kept, until there are hits enough or no
    # windows left.
    scan_limit = top_k + _SPARE_WINDOWS
    while True:
        rows = await tx.all("search.semantic", params | {"scan_limit": scan_limit})
        if len(rows) >= top_k or not rows or rows[0]["windows"] < scan_limit:
            return [_hit(row) for row in rows]
        scan_limit *= 4


async def count(tx: Transaction, tenant_id: str, model_id: int, filters: SearchFilters) -> int:
    """How many messages a search with these filters ranks."""
    row = await tx.one("search.count", _filter_params(tenant_id, model_id, filters))
    candidates = int(row["candidates"]) if row else 0
    return candidates if filters.candidate_limit is None else min(candidates, filters.candidate_limit)


def _filter_params(tenant_id: str, model_id: int, filters: SearchFilters) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "model_id": model_id,
        "as_of": filters.as_of,
        "importance_min": filters.importance_min,
        "conversation_id": filters.conversation_id,
        "candidate_limit": filters.candidate_limit,
    }


def _hit(row: Row) -> Hit:
    return Hit(**{name: value for name, value in row.items() if name != "windows"})

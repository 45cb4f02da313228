"""The ranking statements."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
from pgvector import HalfVector
from psycopg.types.json import Jsonb
from psycopg.types.multirange import TimestamptzMultirange
from psycopg.types.range import Range

from memory_grpc.domain import Ranked, ScoreWeights, SearchFilters, Term
from memory_grpc.ranking import HybridWeights, QueryPlan
from memory_grpc.ranking.fusion import fuse
from memory_grpc.store import hybrid_columns
from memory_grpc.store.database import Row, Transaction
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.graphs import EXTRA_DIMENSIONS

# Windows kept beyond top_k: most messages have one window, so that this is nearly always enough.
_SPARE_WINDOWS = 16
# So many of the newest windows, for each that is kept, are scored ahead: what is worse than their best is not sorted.
_NEWEST_PER_WINDOW = 20

# Windows that are ranked on the event loop.
_MOST_AT_ONCE = 20_000

_FILTERS = (
    "created_after",
    "created_before",
    "importance_min",
    "conversation_id",
    "role",
    "metadata",
    "candidate_limit",
)

# Windows that a graph gives: enough for recall, and four for each hit; and at most.
_LEAST_POOL = 300
_MOST_POOL = 1000
# The newest are looked at besides, as far as decay adds this much to the score.
_MOST_NEWEST = 12_500
_DECAY_COUNTS = 0.02
_DECAY_SECONDS = 604_800


async def semantic(
    tx: Transaction,
    tenant_id: str,
    model_id: int,
    query: Vectors,
    filters: SearchFilters,
    weights: ScoreWeights,
    top_k: int,
) -> list[Ranked]:
    """The best ``top_k`` messages by the documented score, best first. ``query`` is a float32 array [dimensions]."""
    params = filter_params(tenant_id, model_id, filters) | {
        "query": HalfVector(query),
        "top_k": top_k,
        "similarity_weight": weights.similarity,
        "importance_weight": weights.importance,
        "decay_weight": weights.decay,
    }
    if filters.candidate_limit is not None:
        return [_ranked(row, weights) for row in await tx.all("search.semantic_newest", params)]
    # A message of many windows can fill the kept windows alone: then more are kept, until there are hits enough or no
    # windows left.
    filtered = _is_filtered(params)
    scan_limit = top_k + _SPARE_WINDOWS
    while True:
        limits = {"scan_limit": scan_limit, "newest": _NEWEST_PER_WINDOW * scan_limit}
        if filtered:
            rows = await tx.all("search.semantic_filtered", params | limits)
        else:
            rows = await tx.all("search.semantic", params | limits)
        if len(rows) >= top_k or not rows or rows[0]["windows"] < scan_limit:
            return [_ranked(row, weights) for row in rows]
        scan_limit *= 4


def can_pool(filters: SearchFilters, weights: ScoreWeights, top_k: int) -> bool:
    """Whether a graph can serve a search: it knows neither archived messages nor the newest of some, and finds a
    conversation's few messages only by looking at all of them."""
    return (
        not filters.include_archived
        and filters.candidate_limit is None
        and filters.conversation_id is None
        and weights.similarity + weights.importance > 0
        and _pool(top_k) <= _MOST_POOL
    )


async def pooled(
    tx: Transaction,
    tenant_id: str,
    model_id: int,
    query: Vectors,
    filters: SearchFilters,
    weights: ScoreWeights,
    top_k: int,
    *,
    is_counted: bool = False,
) -> tuple[list[Ranked], int] | None:
    """The best ``top_k`` messages of a tenant that has a graph, best first, and if ``is_counted`` how many were ranked.

    None when the filters leave less than a pool: then the tenant is to be scanned, for no hit to be missed.
    """
    unit = query / max(float(np.linalg.norm(query)), 1e-12)
    params = filter_params(tenant_id, model_id, filters) | {
        "query": HalfVector(query),
        "graph_query": HalfVector(np.append(weights.similarity * unit, [weights.importance, 0.0])),
        "top_k": top_k,
        "pool": _pool(top_k),
        "newest": _MOST_NEWEST,
        "newest_seconds": newest_seconds(weights),
        "is_counted": is_counted,
        "similarity_weight": weights.similarity,
        "importance_weight": weights.importance,
        "decay_weight": weights.decay,
    }
    rows = await tx.all("search.pooled", params, dimensions=len(query) + EXTRA_DIMENSIONS)
    if len(rows) < top_k or rows[0]["windows"] < params["pool"]:
        return None
    return [_ranked(row, weights) for row in rows], int(rows[0]["candidates"] or 0)


def newest_seconds(weights: ScoreWeights) -> float:
    """How old a message is of which decay still adds to the score what counts."""
    return _DECAY_SECONDS * max(0.0, math.log(max(weights.decay, 1e-9) / _DECAY_COUNTS))


def _pool(top_k: int) -> int:
    return max(_LEAST_POOL, 4 * top_k)


async def hybrid(
    tx: Transaction,
    tenant_id: str,
    model_id: int,
    config: str,
    query: Vectors,
    plan: QueryPlan,
    filters: SearchFilters,
    weights: ScoreWeights,
    parts: HybridWeights,
    top_k: int,
) -> tuple[list[Ranked], int]:
    """The best ``top_k`` messages by the hybrid score, best first, and how many were ranked."""
    params = hybrid_params(tenant_id, model_id, config, query, plan, filters, weights, parts, top_k)
    memory = await hybrid_columns.read(tx, params, plan, filtered=_is_filtered(params))
    rank = partial(
        fuse,
        memory,
        parts,
        similarity=weights.similarity,
        importance=weights.importance,
        decay=weights.decay,
        top_k=top_k,
    )
    # A millisecond for ten thousand messages; a tenant of many more must not keep the event loop from other calls.
    found, candidates = rank() if len(memory.message) <= _MOST_AT_ONCE else await asyncio.to_thread(rank)
    rows = [hit._asdict() | {"message_id": UUID(bytes=hit.message_id), "candidates": candidates} for hit in found]
    return hybrid_ranked(rows, weights, parts)


def hybrid_params(
    tenant_id: str,
    model_id: int,
    config: str,
    query: Vectors,
    plan: QueryPlan,
    filters: SearchFilters,
    weights: ScoreWeights,
    parts: HybridWeights,
    top_k: int,
) -> dict[str, Any]:
    """The parameters of the hybrid statements, but for the words of the query."""
    return filter_params(tenant_id, model_id, filters) | {
        "config": config,
        "query": HalfVector(query),
        "lexical_text": plan.lexical_text,
        "speaker_names": list(plan.speaker_names),
        "speaker_roles": list(plan.speaker_roles),
        "date_ranges": TimestamptzMultirange([Range(start, end) for start, end in plan.date_ranges]),
        "previous": parts.shares[0],
        "previous2": parts.shares[1],
        "k1": parts.k1,
        "b": parts.b,
        "lexical_weight": parts.lexical,
        "conversation_weight": parts.conversation,
        "date_weight": parts.date,
        "speaker_weight": parts.speaker,
        "similarity_weight": weights.similarity,
        "importance_weight": weights.importance,
        "decay_weight": weights.decay,
        "top_k": top_k,
    }


def hybrid_ranked(rows: list[Row], weights: ScoreWeights, parts: HybridWeights) -> tuple[list[Ranked], int]:
    """Rows of a hybrid statement, and how many messages were ranked."""
    return [_hybrid_ranked(row, weights, parts) for row in rows], int(rows[0]["candidates"]) if rows else 0


async def count(tx: Transaction, tenant_id: str, model_id: int, filters: SearchFilters) -> int:
    """How many messages a search with these filters ranks."""
    row = await tx.one("search.count", filter_params(tenant_id, model_id, filters))
    candidates = int(row["candidates"]) if row else 0
    return candidates if filters.candidate_limit is None else min(candidates, filters.candidate_limit)


def filter_params(tenant_id: str, model_id: int, filters: SearchFilters) -> dict[str, Any]:
    """The parameters of ``search.filters``."""
    by_metadata = filters.metadata is not None or filters.metadata_equals
    return {
        "tenant_id": tenant_id,
        "model_id": model_id,
        "as_of": filters.as_of,
        "created_after": filters.created_after,
        "created_before": filters.created_before,
        "importance_min": filters.importance_min,
        "conversation_id": filters.conversation_id,
        "role": filters.role,
        "metadata": Jsonb(filters.metadata or {}) if by_metadata else None,
        "metadata_texts": Jsonb({key: list(texts) for key, texts in filters.metadata_equals.items()}),
        "include_archived": filters.include_archived,
        "candidate_limit": filters.candidate_limit,
    }


def _is_filtered(params: Mapping[str, Any]) -> bool:
    """Whether parameters of ``search.filters`` leave out more than what came later, or take archived messages in."""
    return bool(params["include_archived"]) or any(params[name] is not None for name in _FILTERS)


def _ranked(row: Row, weights: ScoreWeights) -> Ranked:
    message_id: UUID = row["message_id"]
    similarity, importance, decay = row["similarity"], row["importance"], row["decay"]
    terms = (
        Term("similarity", weights.similarity, similarity),
        Term("importance", weights.importance, importance),
        Term("decay", weights.decay, decay),
    )
    return Ranked(message_id, row["score"], similarity, importance, decay, terms)


def _hybrid_ranked(row: Row, weights: ScoreWeights, parts: HybridWeights) -> Ranked:
    """The terms of relevance are divided by the best relevance of the search, as relevance is."""
    importance, decay = row["importance"], row["decay"]
    terms: tuple[Term, ...] = ()
    if row["best_relevance"] > 0:
        share = weights.similarity / row["best_relevance"]
        terms = (
            Term("similarity", share, row["similarity"]),
            Term("lexical", share * parts.lexical, row["lexical"]),
            Term("conversation", share * parts.conversation, row["conversation"]),
            Term("date", share * parts.date, float(row["date"])),
            Term("speaker", share * parts.speaker, float(row["speaker"])),
        )
        if row["raw_relevance"] < 0:
            terms = (*terms, Term("floor", share, -row["raw_relevance"]))
    terms = (*terms, Term("importance", weights.importance, importance), Term("decay", weights.decay, decay))
    return Ranked(row["message_id"], row["score"], row["similarity"], importance, decay, terms)

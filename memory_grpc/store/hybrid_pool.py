"""The hybrid ranking over a pool of a large tenant's messages, found by its graph and its word index."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any

from memory_grpc.domain import Ranked, ScoreWeights, SearchFilters
from memory_grpc.ranking import HybridWeights, QueryPlan
from memory_grpc.store.database import Row, Transaction
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.pool_sources import PoolSize, Sources
from memory_grpc.store.pool_words import Word, match_text
from memory_grpc.store.search import hybrid_params, hybrid_ranked
from memory_grpc.store.word_index import RARE

DEFAULT = PoolSize()


async def hybrid_pooled(
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
    size: PoolSize = DEFAULT,
) -> tuple[list[Ranked], int] | None:
    """The best ``top_k`` messages by the hybrid score, best first, and how many were ranked: a pool, not all.

    None when a pool will not do, and the exact statement is due: where the tenant's words were never counted, where
    ``filters`` ask for a conversation, for archived messages or for the newest, and where fewer than ``top_k`` messages
    of the pool pass them.
    """
    if filters.conversation_id is not None or filters.include_archived or filters.candidate_limit is not None:
        return None
    params = hybrid_params(tenant_id, model_id, config, query, plan, filters, weights, parts, top_k)
    sources = Sources(params, query, plan, weights, parts, size, top_k)
    counted, near, *extents = await tx.together(*sources.first())
    messages = counted[0]["messages"]
    if not messages or not near:
        return None
    params |= sources.limits() | _words(counted, messages, size)
    params["per_relevance"] = sources.per_relevance(max(row["similarity"] for row in near))
    (words, *matched), *others = await tx.together(*sources.others(params, near, extents[0][0] if extents else None))
    found = _best_windows(chain(matched, near, *others))
    params |= {
        "frequencies": words["frequencies"] or [],
        "found": _array(found),
        "promises": _array(_promises(found.values(), params["per_relevance"], parts)),
        "lexicals": _array(row.get("lexical", 0.0) for row in found.values()),
    }
    rows = await tx.all("hybrid_pool.rank", params)
    return hybrid_ranked(rows, weights, parts) if len(rows) == top_k else None


def _words(counted: Sequence[Row], messages: int, size: PoolSize) -> dict[str, Any]:
    """The parameters about the query's words: which are looked up, and how frequent the others are."""
    words = [Word(row["quoted"], row["frequency"]) for row in counted if row["word"] is not None]
    match, live = match_text(words, messages, size.words)
    return {
        "match": match,
        "any_word": " | ".join(word.quoted for word in words),
        "quoted": [word.quoted for word in words],
        "frequencies": [None if i in live else word.frequency or RARE for i, word in enumerate(words)],
        "messages": messages,
        # No length, and no division by it, where no message has a word.
        "average": counted[0]["average"] or None,
    }


def _best_windows(rows: Iterable[Row]) -> dict[str, Row]:
    """By message what was found first of it, with the similarity of its best window."""
    found: dict[str, Row] = {}
    for row in rows:
        known = found.setdefault(row["message_id"], row)
        if row["similarity"] > known["similarity"]:
            found[row["message_id"]] = {**known, "similarity": row["similarity"]}
    return found


def _promises(found: Collection[Row], per_relevance: float, parts: HybridWeights) -> list[float]:
    """The score of each window as far as it is known: all but words, the speaker, and a lift by a turn that was not
    found."""
    lifts: dict[str, float] = {}
    for row in found:
        own = row["similarity"] + parts.lexical * row.get("lexical", 0.0)
        lifts[row["conversation_id"]] = max(own, lifts.get(row["conversation_id"], own))
    return [
        per_relevance
        * (row["similarity"] + parts.conversation * lifts[row["conversation_id"]] + parts.date * row["dated"])
        + row["rest"]
        for row in found
    ]


def _array(values: Iterable[str | float]) -> str:
    """An array of ids or numbers as Postgres reads it: a list would be looked through for what is to be quoted."""
    return "{" + ",".join(map(str, values)) + "}"

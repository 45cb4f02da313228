"""The hybrid ranking over a pool of a large tenant's messages, found by its graph and its word index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from pgvector import HalfVector

from memory_grpc.domain import Ranked, ScoreWeights, SearchFilters
from memory_grpc.ranking import HybridWeights, QueryPlan
from memory_grpc.store.database import Transaction
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.graphs import EXTRA_DIMENSIONS
from memory_grpc.store.search import hybrid_params, hybrid_ranked
from memory_grpc.store.word_index import RARE


@dataclass(frozen=True, slots=True)
class PoolSize:
    """How far each source of the pool is read. More of everything finds more and takes longer."""

    graph: int = 490
    """Windows from the graph, by similarity and again by similarity and importance."""
    words: int = 3000
    """Messages that are looked up by their words, by the frequencies of the last count."""
    important: int = 50
    """The most important messages."""
    newest: int = 5000
    """Windows that are looked through for those that are good as well."""
    dated: int = 10_000
    """Windows of each date range that the query names; a longer range is also looked for in the graph."""
    spoken: int = 2000
    """Messages of the named speakers; one who said more is looked for in the graph."""
    kept: int = 300
    """What is kept of each source but the graph, by the score as far as it is known."""
    pool: int = 500
    """What is kept of all of them together, by the same."""
    conversations: int = 24
    """Conversations of which the turns around the best are ranked too."""
    mates: int = 96
    """Turns to each side of the best."""
    tuples: int = 8000
    """Points of the graph that are looked at for want of any that pass the filters."""


DEFAULT = PoolSize()

# Of a query that is a text by itself: rare words that are looked up, and frequent words of which pairs are.
_MOST_WORDS = 64
_MOST_PAIRED = 8


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query. ``frequency`` is None for one that the last count held to be rare."""

    quoted: str
    frequency: int | None


def match_text(words: Sequence[Word], messages: int, most: int) -> tuple[str, frozenset[int]]:
    """What to look up in the word index: a tsquery, and the words of which it finds every message, by their places.

    Rare words are all looked up. Others follow, the rarest first, until they stand in ``most`` messages together. Of
    words that are too frequent for that, messages that hold two are looked up, as far as there are few of them: about
    frequency · frequency / messages, if words were independent.
    """
    rare = [i for i, word in enumerate(words) if word.frequency is None][:_MOST_WORDS]
    frequent = sorted((word.frequency, i) for i, word in enumerate(words) if word.frequency is not None)
    taken = rare
    left = most - RARE * len(rare)
    while frequent and frequent[0][0] <= left:
        frequency, i = frequent.pop(0)
        taken.append(i)
        left -= frequency
    parts = [words[i].quoted for i in taken]
    pairs = sorted((f * g // max(messages, 1), i, j) for (f, i), (g, j) in combinations(frequent[:_MOST_PAIRED], 2))
    for together, i, j in pairs:
        if together > left:
            break
        parts.append(f"{words[i].quoted} & {words[j].quoted}")
        left -= together
    return " | ".join(parts), frozenset(taken)


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
    settings = {"graph_limit": min(size.graph + top_k, 1000), "most_tuples": size.tuples}
    counted = await tx.all("hybrid_pool.words", params | settings)
    messages = counted[0]["messages"]
    if not messages:
        return None
    words = [Word(row["quoted"], row["frequency"]) for row in counted if row["word"] is not None]
    match, live = match_text(words, messages, size.words)
    unit = query / max(float(np.linalg.norm(query)), 1e-12)
    params |= {
        "graph_query": HalfVector(np.concatenate([unit, [0, 0]])),
        "graph_limit": size.graph + top_k,
        "important_limit": size.important + top_k,
        "newest_limit": size.newest + top_k,
        "dated_limit": size.dated,
        # In a date range few are of the speaker: more are kept, to be asked who they are of.
        "dated_kept": (size.kept + top_k) * (4 if plan.speaker_names else 1),
        "spoken_limit": size.spoken,
        "kept": size.kept + top_k,
        "conversations": size.conversations,
        "mates": size.mates,
        "pool_limit": size.pool + top_k,
        "match": match,
        "any_word": " | ".join(word.quoted for word in words),
        "quoted": [word.quoted for word in words],
        "frequencies": [None if i in live else word.frequency or RARE for i, word in enumerate(words)],
        "messages": messages,
        # No length, and no division by it, where no message has a word.
        "average": counted[0]["average"] or None,
    }
    found = await tx.all("hybrid_pool.candidates", params, dimensions=len(query) + EXTRA_DIMENSIONS)
    pool = [row["message_id"] for row in found if row["message_id"] is not None]
    idf = next(row["idf"] for row in found if row["message_id"] is None)
    rows = await tx.all("hybrid_pool.rank", params | {"pool": sorted(pool), "idf": idf or []})
    return hybrid_ranked(rows, weights, parts) if len(rows) == top_k else None

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
from memory_grpc.store.search import hybrid_params, hybrid_ranked


# Words that stand in no more messages than this are not counted beforehand.
RARE = 200
# What a graph's points have beside the embedding: importance, and what makes all of them equally long.
EXTRA_DIMENSIONS = 2


@dataclass(frozen=True, slots=True)
class PoolSize:
    """How far each source of the pool is read. More of everything finds more and takes longer."""

    graph: int = 190
    """Windows from the graph, by similarity and again by similarity and importance."""
    words: int = 3000
    """Messages that are looked up by their words, by the frequencies of the last count."""
    newest: int = 5000
    dated: int = 5000
    """Windows of each date range that the query names; a longer range is also looked for in the graph."""
    spoken: int = 2000
    """Messages of the named speakers; one who said more is looked for in the graph."""
    kept: int = 150
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


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query. ``frequency`` is None for one that the last count held to be rare."""

    quoted: str
    frequency: int | None


def match_text(words: Sequence[Word], messages: int, most: int, rare: int) -> tuple[str, frozenset[int]]:
    """What to look up in the word index: a tsquery, and which words it finds every message of.

    Words are taken from the rarest on, until they stand in ``most`` messages together. Of words that are too frequent
    for that, messages that hold two are looked up, as far as there are few of them: about frequency · frequency /
    messages, if words were independent.
    """
    order = sorted(range(len(words)), key=lambda i: (words[i].frequency or rare, words[i].quoted))
    taken: list[int] = []
    left = most
    for i in order:
        frequency = words[i].frequency or rare
        if frequency > left and taken:
            break
        if frequency > most:
            break
        taken.append(i)
        left -= frequency
    parts = [words[i].quoted for i in taken]
    rest = [i for i in order if i not in taken]
    pairs = sorted(
        ((words[a].frequency or rare) * (words[b].frequency or rare) // max(messages, 1), a, b)
        for a, b in combinations(rest, 2)
    )
    for together, a, b in pairs:
        if together > left:
            break
        parts.append(f"{words[a].quoted} & {words[b].quoted}")
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
    counted = await tx.all("hybrid_pool.words", params | {"most_tuples": size.tuples})
    messages = counted[0]["messages"]
    if not messages:
        return None
    words = [Word(row["quoted"], row["frequency"]) for row in counted if row["word"] is not None]
    match, live = match_text(words, messages, size.words, RARE)
    unit = query / max(float(np.linalg.norm(query)), 1e-12)
    params |= {
        "graph_query": HalfVector(np.concatenate([unit, [0, 0]])),
        "graph_limit": size.graph + top_k,
        "newest_limit": size.newest + top_k,
        "dated_limit": size.dated,
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

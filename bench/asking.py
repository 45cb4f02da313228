"""A question as the operations hand it to the store, for benchmarks that measure statements and not calls."""

from __future__ import annotations

from datetime import datetime

from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.domain.search import SearchFilters
from memory_grpc.embedding.provider import Vectors
from memory_grpc.ranking import HybridWeights, Participants, plan_query
from memory_grpc.store import filters, word_index
from memory_grpc.store.database import Transaction
from memory_grpc.store.rank_request import HybridQuery, RankRequest


async def request(
    tx: Transaction,
    tenant: str,
    text: str,
    vector: Vectors,
    as_of: datetime,
    *,
    config: str | None = None,
    participants: Participants | None = None,
    has_graph: bool = False,
    top_k: int = 10,
    only: SearchFilters | None = None,
    parts: HybridWeights | None = None,
) -> RankRequest:
    """A request of model 1, by the default weights; hybrid where ``config`` is given."""
    hybrid = None
    if config is not None:
        parts = parts or HybridWeights()
        plan = plan_query(text, participants or Participants((), ()), as_of, parts)
        config, words = await (await word_index.query_words(tx, tenant, config, text, parts.shares)).get()
        hybrid = HybridQuery(plan, words, parts, config, as_of)
    filter_ = filters.compiled(only or SearchFilters(as_of=as_of))
    return RankRequest(tenant, 1, vector, filter_, ScoreWeights(), top_k, has_graph=has_graph, hybrid=hybrid)

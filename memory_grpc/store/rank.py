"""Which way a search takes: what a filter leaves is found first, and scored exactly where that is little.

::

    a large tenant                           any other
      few messages may pass ──▶ look them up   only messages tell, and few may pass ──▶ look them up
      a time of few messages ─▶ scan it        scan the tenant
      else ───────────────────▶ its graph
    too few of the graph's or the scan's best pass ──▶ look up all that pass
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from memory_grpc.store.database import Transaction
from memory_grpc.store.filters import Filter
from memory_grpc.store.hybrid import Hybrid
from memory_grpc.store.rank_request import ALL, Ranking, RankRequest
from memory_grpc.store.search import Semantic

# Messages that are looked up one by one, which takes six times as long as to scan them, rather than to walk a graph, or
# to scan a tenant without one; and messages of a time that are scanned rather than to walk a graph.
FEW = 5_000
FEW_WITHOUT_GRAPH = 200
SPAN = 40_000
# Where only messages tell what passes, so many of the newest are asked. A share above the first is not few messages of
# a large tenant; of a share below the second a graph gives too little.
_SAMPLE = 500
_MANY, _RARE = 0.1, 0.01


class Ranker(Protocol):
    """A ranking, in each of the ways that there are; None where that way will not do."""

    async def of_few(self, most: int) -> Ranking | None:
        """Of the messages that pass, if they are not more."""

    async def of_span(self) -> Ranking | None:
        """Of a time that was found to be short."""

    async def of_graph(self) -> Ranking | None:
        """Of what the tenant's graph gives."""

    async def whole(self) -> Ranking | None:
        """Of the whole tenant."""


async def rank(tx: Transaction, request: RankRequest) -> Ranking:
    """The best messages that pass the filter: ``top_k`` where that many do, or ``enough`` of a graph's pool."""
    request = replace(request, filter=await bounded(tx, request))
    ranker: Ranker = Hybrid(tx, request, request.hybrid) if request.hybrid else Semantic(tx, request)
    filter_ = request.filter
    ranking: Ranking | None = None
    if request.has_graph:
        share = await _sampled(tx, request)
        if await _leaves_few(tx, request, share):
            ranking = await ranker.of_few(FEW)
        if ranking is None and await _is_short(tx, request):
            ranking = await ranker.of_span()
        elif ranking is None and share >= _RARE:
            ranking = await ranker.of_graph()
        if ranking is None and filter_.is_narrowing:
            ranking = await ranker.of_few(ALL)
    elif filter_.may_leave_few and (filter_.needs_messages or filter_.candidate_limit is not None):
        ranking = await ranker.of_few(FEW_WITHOUT_GRAPH)
    if ranking is None:
        ranking = await ranker.whole()
    if ranking is None:
        ranking = await ranker.of_few(ALL)
    assert ranking is not None, "nothing is more than all"
    return ranking


async def bounded(tx: Transaction, request: RankRequest) -> Filter:
    """A request's filter with its ``candidate_limit`` as the place of the oldest candidate."""
    filter_ = request.filter
    if filter_.candidate_limit is None:
        return filter_
    row = await tx.one("search.oldest_candidate", request.params, parts=filter_.parts)
    # No row: there are not so many.
    return filter_ if row is None else filter_.from_candidate(row["created_at"], row["id"])


async def _sampled(tx: Transaction, request: RankRequest) -> float:
    """The share of the newest messages that pass; 1 where it is not asked, since windows tell all."""
    live, _ = request.filter.by_archival
    if live is None or not live.needs_messages:
        return 1.0
    row = await tx.one("search.sampled", request.params | {"sample": _SAMPLE}, parts=live.parts)
    return 0.0 if row is None or not row["sampled"] else row["passing"] / row["sampled"]


async def _leaves_few(tx: Transaction, request: RankRequest, share: float) -> bool:
    """Whether it is worth while to look for what passes, for all that columns tell."""
    filter_ = request.filter
    if filter_.candidate_limit is not None and filter_.candidate_limit <= FEW:
        return True
    if not filter_.may_leave_few:
        return False
    if filter_.metadata is not None:
        return share <= _MANY
    row = await tx.one("search.selected", request.params | {"most": FEW}, parts=filter_.parts)
    return row is not None and row["selected"] <= FEW


async def _is_short(tx: Transaction, request: RankRequest) -> bool:
    """Whether what passes lies within a time of few messages; or in the archive, which is in no graph."""
    filter_ = request.filter
    if filter_.by_archival[0] is None:
        return True
    if filter_.span is None:
        return False
    start, end = filter_.span
    params = request.params | {"span_start": start, "span_end": end, "most": SPAN}
    row = await tx.one("search.spanned", params, parts=filter_.parts)
    return row is not None and row["spanned"] <= SPAN

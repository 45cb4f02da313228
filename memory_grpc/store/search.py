"""The documented ranking: similarity, importance and decay, scored in SQL."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pgvector import HalfVector

from memory_grpc.domain.search import Ranked, Term
from memory_grpc.store.database import Row, Statement, Transaction
from memory_grpc.store.filters import Filter
from memory_grpc.store.graphs import EXTRA_DIMENSIONS
from memory_grpc.store.rank_request import Ranking, RankRequest, newest_seconds

# Windows kept beyond top_k: most messages have one window, so that this is nearly always enough.
_SPARE_WINDOWS = 16
# The same where only the message itself tells whether it passes.
_UNFILTERED_WINDOWS = 512
# So many of the newest windows, for each that is kept, are scored ahead: what is worse than their best is not sorted.
_NEWEST_PER_WINDOW = 20

# Windows that a graph gives: enough for recall, and four for each hit; and at most. Of those that pass a filter fewer
# are enough: they come from as wide a walk.
_LEAST_POOL = 300
_LEAST_PASSING = 100
_MOST_POOL = 1000
# Points of a graph that are looked at for want of any that pass: from there on it is quicker to look all up that do.
_MOST_TUPLES = 5_000
# The newest are looked at besides, as far as decay still counts.
_MOST_NEWEST = 12_500


class Semantic:
    """One query's ranking by the documented score, in each of the ways that there are."""

    def __init__(self, tx: Transaction, request: RankRequest) -> None:
        self._tx = tx
        self._request = request

    async def of_few(self, most: int) -> Ranking | None:
        """Of the messages that pass, each looked up by itself; None when they are more than ``most``."""
        params = self._request.params | {"most": most}
        head, *rows = await self._tx.all("search.among", params, parts=self._request.filter.parts)
        return Ranking(self._hits(rows), head["passing"], exact=True) if head["passing"] <= most else None

    async def whole(self) -> Ranking | None:
        """Of all that pass, by a scan; None when so few pass among the best that they are to be looked up."""
        rows = await self._scanned(self._request.filter)
        return None if rows is None else Ranking(self._hits(rows), await self._count(), exact=True)

    async def of_span(self) -> Ranking | None:
        """The same; the scan stops at the ends of the times that pass."""
        return await self.whole()

    async def of_graph(self) -> Ranking | None:
        """Of a pool from the tenant's graph; None when a graph will not do, or too few of it pass.

        Archived messages are in no graph: where they are asked for too, they are scanned.
        """
        request, weights = self._request, self._request.weights
        filter_ = request.filter
        pool = max(_LEAST_PASSING if filter_.is_narrowing else _LEAST_POOL, 4 * request.top_k)
        if pool > _MOST_POOL or weights.similarity + weights.importance <= 0:
            return None
        unit = request.vector / max(float(np.linalg.norm(request.vector)), 1e-12)
        params = request.params | {
            "graph_query": HalfVector(np.append(weights.similarity * unit, [weights.importance, 0.0])),
            "pool": pool,
            "newest": _MOST_NEWEST,
            "newest_seconds": newest_seconds(weights),
            "is_counted": request.is_counted,
        }
        dimensions = ("dimensions", str(len(unit) + EXTRA_DIMENSIONS))
        live, archived = filter_.by_archival
        if live is None:
            return None
        wide = {"width": _LEAST_POOL, "most_tuples": _MOST_TUPLES}
        *_, rows = await self._tx.together(
            Statement("graphs.search_as_wide_as", wide),
            Statement("search.pooled", params, (dimensions, *live.parts)),
        )
        if len(rows) < request.top_k or rows[0]["windows"] < pool:
            return None
        candidates = int(rows[0]["candidates"] or 0)
        if archived is not None:
            more = await self._scanned(archived)
            if more is None:
                return None
            rows = sorted(
                rows + more, key=lambda row: (row["score"], row["created_at"], row["message_id"]), reverse=True
            )
        return Ranking(self._hits(rows[: request.top_k]), candidates, exact=False)

    async def _scanned(self, filter_: Filter) -> list[Row] | None:
        """The best messages of a scan; None when some of the kept windows do not pass, and too few do."""
        request, late = self._request, filter_.needs_messages
        kept = request.top_k + (_UNFILTERED_WINDOWS if late else _SPARE_WINDOWS)
        has_newest = request.has_newest and filter_.by_archival[1] is None
        newest = _NEWEST_PER_WINDOW * kept if has_newest else 0
        params = request.params | {"scan_limit": kept, "newest": newest}
        rows = await self._tx.all("search.scan", params, parts=filter_.parts)
        if len(rows) >= request.top_k or (rows[0]["windows"] < kept if rows else not late):
            return rows
        if late:
            return None
        # Messages of many windows can fill the kept windows alone.
        return await self._tx.all("search.scan_messages", request.params, parts=filter_.parts)

    async def _count(self) -> int:
        """How many messages pass, for those who ask: it is a second scan."""
        if not self._request.is_counted:
            return 0
        row = await self._tx.one("search.count", self._request.params, parts=self._request.filter.parts)
        return int(row["candidates"]) if row else 0

    def _hits(self, rows: Sequence[Row]) -> tuple[Ranked, ...]:
        weights = self._request.weights
        return tuple(
            Ranked(
                row["message_id"],
                row["score"],
                row["similarity"],
                row["similarity"],
                row["importance"],
                row["decay"],
                (
                    Term("similarity", weights.similarity, row["similarity"]),
                    Term("importance", weights.importance, row["importance"]),
                    Term("decay", weights.decay, row["decay"]),
                ),
                row["similarity"],
            )
            for row in rows
        )

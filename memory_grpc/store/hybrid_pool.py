"""The hybrid ranking of a large tenant: over a pool of messages, not over all.

::

    sources ──▶ windows ──▶ with their words: the most promising ──▶ the turns around those ──▶ ranking.fusion

The sources are the tenant's graph, its word index and what else a term of the score may lift; or, where a filter leaves
few messages, those.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from pgvector import HalfVector

from memory_grpc.ranking.corpus import Corpus
from memory_grpc.ranking.fusion import Fused, Ids, Integers
from memory_grpc.ranking.terms import NEAR
from memory_grpc.store import hybrid_columns as columns
from memory_grpc.store.database import Row, Statement, Transaction
from memory_grpc.store.graphs import EXTRA_DIMENSIONS
from memory_grpc.store.hybrid_pool_size import DEFAULT, PoolSize
from memory_grpc.store.hybrid_promise import Promise, Windows, highest, one_a_message, windows
from memory_grpc.store.queries import Parts, part
from memory_grpc.store.rank_request import HybridQuery, RankRequest, fused, newest_seconds
from memory_grpc.store.word_index import match_text

# Points of a graph that pgvector looks for at once; more are looked for afterwards.
_WIDEST = 1000
# How similar the best message may be expected to be, before it is known.
_SIMILAR = 0.6
# Where a smaller share of the first so many that the graph gives is of the dates or the speakers that a query names,
# those have a source of their own.
_ENOUGH, _SAMPLE = 0.15, 100


class Pooled(NamedTuple):
    """The best messages, best first, of so many that were ranked; and whether those are all that pass the filter."""

    best: list[Fused]
    ranked: int
    is_all: bool


class Pool:
    """One query's pool."""

    def __init__(self, tx: Transaction, request: RankRequest, hybrid: HybridQuery, size: PoolSize = DEFAULT) -> None:
        self._tx = tx
        self._request = request
        self._hybrid = hybrid
        self._size = size
        self._promise = Promise(hybrid, request.weights)
        self._parts: Parts = columns.parts(request, hybrid)
        live, archived = request.filter.by_archival
        # A graph knows live messages, and the newest are read in the order of time, of which the archive has its own.
        self._live = columns.parts(replace(request, filter=live), hybrid) if live else None
        self._archived = columns.parts(replace(request, filter=archived), hybrid) if live and archived else None
        match, self._looked_up = match_text(hybrid.words.words, hybrid.words.messages or 0, size.words)
        self._params: dict[str, Any] = request.params | {
            "match": match,
            "speakers": bool(hybrid.plan.speaker_names or hybrid.plan.speaker_roles),
            "sample": _SAMPLE,
            "graph_limit": size.graph + request.top_k,
            "important_limit": size.important + request.top_k,
            "newest_limit": size.newest + request.top_k,
            "newest_seconds": newest_seconds(request.weights),
            "dated_limit": size.dated,
            "spoken_limit": size.spoken,
            "kept": size.kept + request.top_k,
            "per_relevance": self._promise.per_relevance(_SIMILAR),
        }

    async def of_graph(self) -> Pooled | None:
        """Of a tenant that has a graph; None when nothing of that passes the filters.

        Archived messages are in no graph: where they are asked for too, they are scanned.
        """
        plan, size = self._hybrid.plan, self._size
        width = min(self._params["graph_limit"], _WIDEST)
        await self._tx.all("graphs.search_as_wide_as", {"width": width, "most_tuples": size.tuples})
        asked = [self._graph()]
        if plan.date_ranges or plan.speaker_names:
            asked.append(Statement("hybrid.extents", self._params, self._parts))
        graph, *extents = await self._rows(*asked)
        near = windows(graph)
        if not len(near):
            return None
        self._params["per_relevance"] = self._promise.per_relevance(float(near["similarity"].max()))
        matched, *others = await self._rows(self._matched(), *self._others(near, extents[0] if extents else None))
        return await self._ranked([near, *map(windows, others)], matched, is_all=False)

    async def of_span(self) -> Pooled | None:
        """Of the times that the filters leave, all windows of which are looked at."""
        row, matched = await self._rows(self._source("hybrid.scanned", self._size.few), self._matched())
        scanned = windows(row)
        return await self._ranked([scanned], matched, is_all=len(scanned) < self._size.few + self._request.top_k)

    async def of_few(self, most: int) -> Pooled | None:
        """Of the messages that pass the filters; None when they are more than ``most``."""
        kept = self._size.few + self._request.top_k
        params = self._params | {"most": most, "kept": kept}
        (few,) = await self._rows(Statement("hybrid.among", params, self._parts))
        if few["passing"] > most:
            return None
        if is_all := few["passing"] <= kept:
            # All of them are in the pool: of the words only their rarity is to be known.
            words = self._hybrid.words
            self._params["match"], self._looked_up = match_text(words.words, words.messages or 0, 0)
            (matched,) = await self._rows(Statement("hybrid.rare", self._params, self._parts))
        else:
            (matched,) = await self._rows(self._matched())
        return await self._ranked([windows(few)], matched, is_all=is_all)

    async def _rows(self, *statements: Statement) -> list[Row]:
        """The one row that each statement gives."""
        return [row for (row,) in await self._tx.together(*statements)]

    async def _ranked(self, sources: Sequence[Windows], matched: Row, *, is_all: bool) -> Pooled:
        """Ranks the best of what was found, with the turns around them; ``is_all``: that is all that passes."""
        hybrid, size, top_k = self._hybrid, self._size, self._request.top_k
        promise, per_relevance = self._promise, self._params["per_relevance"]
        looked_up = columns.turns(matched["turns"], hybrid)
        corpus = promise.corpus(looked_up, self._looked_up)
        by_words = windows(matched)
        ids, of_window = np.unique(by_words["id"], axis=0, return_inverse=True)
        lexical = promise.lexical(ids, looked_up, corpus)[of_window.reshape(-1)]
        best = highest(promise.scores(by_words, lexical, per_relevance), size.kept + top_k)
        found = one_a_message(np.concatenate([*sources, by_words[best]]))
        if not len(found):
            return Pooled([], 0, is_all)
        params = self._params | {"ids": columns.uuids(found["id"])}
        row = await self._tx.one("hybrid.known", params, binary=True, parts=self._parts)
        turns = columns.turns(row["turns"] if row else None, hybrid)
        lexical = promise.lexical(found["id"], turns, corpus)
        lexical = np.maximum(lexical, promise.lexical(found["id"], looked_up, corpus))  # words of further rows
        place = columns.places(turns["id"], found["id"])
        speaks = (
            (place >= 0) & ((turns["flags"][place] & columns.ASKED) > 0) if len(turns) else np.zeros(len(place), bool)
        )
        promises = promise.scores(found, lexical, per_relevance, speaks)

        lifts, mates = (size.lifted, size.mates) if hybrid.parts.conversation else (size.near, NEAR)
        followed, lifted = highest(lexical, size.followed), highest(promises, lifts + top_k)
        before, after = np.zeros(len(found), np.int64), np.zeros(len(found), np.int64)
        after[followed] = 2
        before[lifted] = after[lifted] = mates
        chosen = np.union1d(highest(promises, size.pool + top_k), followed)
        hits, ranked = await self._fused(found["id"][chosen], before[chosen], after[chosen], corpus)
        return Pooled(hits, ranked, is_all and len(chosen) == len(found))

    async def _fused(self, ids: Ids, before: Integers, after: Integers, corpus: Corpus) -> tuple[list[Fused], int]:
        """Ranks some messages and so many turns before and after each."""
        wanted = {"ids": columns.uuids(ids), "turns_before": before.tolist(), "turns_after": after.tolist()}
        row = await self._tx.one("hybrid.stretches", self._params | wanted, binary=True, parts=self._parts)
        assert row is not None, "an aggregate has a row"
        read = columns.stretches(row, self._hybrid)
        if not len(read.turns):
            return [], 0
        # Where each stretch has the message that it is around; the two turns before the first only hand their words on.
        number = np.arange(len(read.turns))
        middle = np.zeros(len(ids), np.int64)
        is_middle = (read.turns["id"] == ids[read.stretch]).all(axis=1)
        middle[read.stretch[is_middle]] = number[is_middle]
        ranked = number >= (middle - before)[read.stretch]
        # Stretches overlap: each turn once, where it is ranked if it is anywhere.
        order = np.argsort(~ranked, kind="stable")
        _, first, same = np.unique(read.turns["id"][order], axis=0, return_index=True, return_inverse=True)
        turn_of = np.append(np.empty(len(order), np.int64), -1)
        turn_of[order] = same.reshape(-1)
        kept = order[first]
        _, conversation = np.unique(read.conversation[read.stretch[kept]], return_inverse=True)
        memory = columns.gathered(
            row,
            self._request,
            self._hybrid,
            read.turns[kept],
            read.counts[kept],
            conversation,
            turn_of[read.previous[kept]],
            ranked[kept],
        )
        return await fused(memory, self._request, self._hybrid, corpus)

    def _others(self, near: Windows, extents: Row | None) -> Iterator[Statement]:
        """All sources but the graph and the words: every term of the score has one."""
        plan = self._hybrid.plan
        yield self._source("hybrid.important")
        yield self._source("hybrid.newest", of=self._live)
        if self._archived:
            yield self._source("hybrid.scanned", of=self._archived)
        first = near[:_SAMPLE]
        if extents is not None and extents["dated"]:
            created = first["created"].astype(np.int64) + columns.POSTGRES_EPOCH
            if extents["dated"] <= self._size.dated:
                yield self._source("hybrid.dated")
            elif columns.dated(created, plan).mean() < _ENOUGH:
                yield self._graph(only_dated=True)
        if self._params["speakers"] and first["speaks"].mean() < _ENOUGH:
            is_few = extents is not None and extents["spoken"] <= self._size.spoken
            if plan.speaker_names and is_few:
                yield self._source("hybrid.spoken")
            if plan.speaker_roles or not is_few:
                yield self._graph(only_spoken=True)

    def _source(self, name: str, kept: int = 0, of: Parts | None = None) -> Statement:
        params = self._params | ({"kept": kept + self._request.top_k} if kept else {})
        return Statement("hybrid.source", params, (("source", part(name)), *(of or self._parts)))

    def _matched(self) -> Statement:
        return Statement("hybrid.matched", self._params, self._parts)

    def _graph(self, *, only_dated: bool = False, only_spoken: bool = False) -> Statement:
        """The statement that searches the graph for the best by similarity and importance."""
        request, parts = self._request, self._hybrid.parts
        unit = request.vector / max(float(np.linalg.norm(request.vector)), 1e-12)
        worth = max(1e-3, self._promise.per_relevance(_SIMILAR) * (1 + parts.lift))
        direction = HalfVector(np.append(worth * unit, [request.weights.importance, 0.0]))
        given = {"direction": direction, "only_dated": only_dated, "only_spoken": only_spoken}
        dimensions = ("dimensions", str(len(unit) + EXTRA_DIMENSIONS))
        return Statement("hybrid.graph", self._params | given, (dimensions, *(self._live or self._parts)))

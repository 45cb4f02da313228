"""Retrieval metrics with binary relevance, of one question and of many."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass

CUTOFFS = (5, 10, 25)
NDCG_CUTOFF = 10
# How far down hits are looked at, by MRR too.
DEPTH = max(CUTOFFS)


@dataclass(frozen=True, slots=True)
class Scores:
    """Each from 0 to 1: the share of the evidence in the top 5, 10 and 25, NDCG@10, and the reciprocal rank."""

    recall_5: float
    recall_10: float
    recall_25: float
    ndcg_10: float
    reciprocal_rank: float


def score(hits: Sequence[str], evidence: Collection[str]) -> Scores:
    """The scores of one question: ``hits`` best first, ``evidence`` distinct and not empty.

    A hit that comes again counts once, at its first place: a turn that is stored twice finds nothing twice.
    """
    wanted = set(evidence)
    ranks, seen = [], set()
    for rank, hit in enumerate(hits[:DEPTH], start=1):
        if hit in wanted and hit not in seen:
            seen.add(hit)
            ranks.append(rank)
    recall_5, recall_10, recall_25 = (sum(rank <= cutoff for rank in ranks) / len(wanted) for cutoff in CUTOFFS)
    first = 1 / ranks[0] if ranks else 0.0
    return Scores(recall_5, recall_10, recall_25, _ndcg(ranks, len(wanted)), first)


def _ndcg(ranks: Iterable[int], relevant: int) -> float:
    """Järvelin and Kekäläinen 2002: gain 1, discount log2(rank + 1), against the best order there could be."""
    gain = sum(1 / math.log2(rank + 1) for rank in ranks if rank <= NDCG_CUTOFF)
    best = sum(1 / math.log2(rank + 1) for rank in range(1, min(relevant, NDCG_CUTOFF) + 1))
    return gain / best


def mean(scores: Sequence[Scores]) -> Scores:
    """The mean over questions; every question weighs the same. ``scores`` is not empty."""
    return Scores(*(sum(column) / len(scores) for column in zip(*map(astuple, scores), strict=True)))

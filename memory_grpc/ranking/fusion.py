"""The hybrid score (docs/ranking.md): arrays of what was read of a tenant in, the best messages out.

Pure: no database, no clock, no model. The same code ranks a whole tenant and a pool of a large one; they differ in
where the numbers of the corpus come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_grpc.ranking.corpus import Corpus, Floats
from memory_grpc.ranking.terms import relevance_terms
from memory_grpc.ranking.weights import HybridWeights

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Ids = NDArray[np.uint64]

_DECAY_MICROSECONDS = 7 * 86400 * 1e6
# Postgres' exp underflows below this: a message older than 13 years decays to 1e-304 here as it does in SQL.
_LEAST_EXPONENT = -700.0
# numpy's vectorised exp may be off by a last bit or two from the scores that are reported.
_SLACK = 1e-12


@dataclass(frozen=True, slots=True)
class Memory:
    """What a search reads.

    Turns are messages with words. ``ids`` [turns, 2] are the halves of each uuid, ``conversation`` [turns] numbers
    their conversations, ``previous`` [turns, 2] the turns one and two before each, -1 where there is none; ``lengths``
    [turns] are in words, and ``counts`` [turns, words] says how often each of the query's words stands in each turn.

    Windows are the embedded parts of messages, in any order, each of a turn: ``turn``, ``similarity``, ``importance``,
    ``created`` (microseconds since 1970), ``speaker`` (whether the query names them), ``date`` (how well a date of the
    query fits, 0 to 1), ``cues`` (ranking.cues), ``passes`` (whether it may be found), each [windows]. ``asks_when``
    says whether the query asks for a time. ``ids`` and ``conversation`` go on, after the turns, with the messages that
    have windows and no words.
    """

    ids: Ids
    conversation: Integers
    previous: Integers
    lengths: Integers
    counts: NDArray[np.uint8]
    turn: Integers
    similarity: Floats
    importance: Floats
    created: Integers
    speaker: Flags
    date: Floats
    cues: Integers
    passes: Flags
    as_of: int
    asks_when: bool = False


class Part(NamedTuple):
    """A term of relevance: weight · value."""

    name: str
    weight: float
    value: float


class Fused(NamedTuple):
    """A message that was found, with the parts of its score; ``message_id`` is the uuid's 16 bytes, ``created`` in
    microseconds, ``parts`` add up to ``raw_relevance``; ``answer`` says how likely it is to answer."""

    message_id: bytes
    created: int
    score: float
    raw_relevance: float
    best_relevance: float
    similarity: float
    parts: tuple[Part, ...]
    importance: float
    decay: float
    answer: float


def fuse(
    memory: Memory,
    parts: HybridWeights,
    *,
    similarity: float,
    importance: float,
    decay: float,
    top_k: int,
    corpus: Corpus | None = None,
) -> tuple[list[Fused], int]:
    """The best ``top_k`` messages, best first, and how many were ranked.

    Ties: the newer first, then the higher id. ``similarity`` weighs relevance, which is divided by the best relevance
    of what passes. ``corpus`` None means that the memory is the whole tenant and is counted.
    """
    passing = np.flatnonzero(memory.passes)
    if not passing.size:
        return [], 0
    terms, answers = relevance_terms(memory, parts, corpus)
    relevance = np.zeros(len(memory.turn))
    for _, weight, values in terms:
        relevance += weight * values
    best = float(relevance[passing].max())
    shares = np.maximum(relevance, 0) / best if best > 0 else np.zeros_like(relevance)
    lasting = similarity * shares + importance * memory.importance
    exponents = np.maximum(_LEAST_EXPONENT, np.minimum(0, memory.created - memory.as_of) / _DECAY_MICROSECONDS)
    scores = lasting + decay * np.exp(exponents)

    def fused(window: int) -> Fused:
        faded = math.exp(float(exponents[window]))
        return Fused(
            message_id=memory.ids[memory.turn[window]].tobytes(),
            created=int(memory.created[window]),
            score=float(lasting[window]) + decay * faded,
            raw_relevance=float(relevance[window]),
            best_relevance=best,
            similarity=float(memory.similarity[window]),
            parts=tuple(Part(name, weight, float(values[window])) for name, weight, values in terms),
            importance=float(memory.importance[window]),
            decay=faded,
            answer=float(answers[window]),
        )

    candidates = int(np.count_nonzero(np.bincount(memory.turn[passing])))
    wanted, kept = min(top_k, candidates), top_k + 16
    while True:
        highest = _highest(passing, scores, kept)
        # numpy's exp may differ in its last bit from machine to machine: it chooses, math.exp is what is reported.
        told = lasting[highest] + decay * np.array([math.exp(exponent) for exponent in exponents[highest].tolist()])
        turns = memory.turn[highest]
        first, second = memory.ids[turns].view(">u8").T  # as their bytes are
        order = np.lexsort((second, first, memory.created[highest], told))[::-1]
        # A message is as similar as its most similar window.
        _, places = np.unique(turns[order], return_index=True)
        if len(places) >= wanted:
            return [fused(int(highest[order[place]])) for place in np.sort(places)[:wanted]], candidates
        kept *= 4


def best_first(hits: Iterable[Fused]) -> list[Fused]:
    """By score; of equal ones the newer first, then the higher id."""
    return sorted(hits, key=lambda hit: (hit.score, hit.created, hit.message_id), reverse=True)


def _highest(windows: Integers, scores: Floats, count: int) -> Integers:
    """The windows of the ``count`` highest scores, and all that are as high as the last of them."""
    if count >= windows.size:
        return windows
    among = scores[windows]
    least = np.partition(among, -count)[-count] - _SLACK
    return np.asarray(windows[among >= least])

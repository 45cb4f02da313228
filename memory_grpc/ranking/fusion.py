"""The hybrid score of a tenant's messages (DESIGN.md §7), from what was read of each: arrays in, the best out.

Pure: no database, no clock, no model. Sums of fractions are of numbers rounded to 2^-24, which add up to the same in
any order, so that the SQL that ranks a pool of a large tenant comes to the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_grpc.ranking.weights import HybridWeights

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_ROUNDING = float(2**24)
_DECAY_MICROSECONDS = 7 * 86400 * 1e6
# exp ends there: past 13 years a message's decay is 1e-304 instead of less, as in SQL.
_LEAST_EXPONENT = -700.0
# Scores that are chosen by may be off by a last bit or two from those that are told.
_SLACK = 1e-12


@dataclass(frozen=True, slots=True)
class Memory:
    """What a search reads of a tenant.

    Messages have numbers: first those whose words are known, conversation by conversation, in order; then the others.
    ``ids`` [messages, 2] are the halves of each uuid's bytes, ``conversation`` [messages] counts up from 0, ``lengths``
    [messages with words] are in words. The query's words stand in messages ``occurrences`` times: ``counted_message``,
    ``counted_word`` and ``occurrences`` [counts], at least one for each message and each word that it holds.

    Windows are in any order: ``message``, ``similarity``, ``importance``, ``created`` (microseconds since 1970),
    ``speaker`` and ``date`` (whether the query names them), ``passes`` (whether it may be found), each [windows].
    """

    ids: NDArray[np.uint64]
    conversation: Integers
    lengths: Integers
    counted_message: Integers
    counted_word: Integers
    occurrences: Integers
    message: Integers
    similarity: Floats
    importance: Floats
    created: Integers
    speaker: Flags
    date: Flags
    passes: Flags
    as_of: int


class Fused(NamedTuple):
    """A message that was found, with the parts of its score; ``message_id`` is the uuid's 16 bytes."""

    message_id: bytes
    score: float
    raw_relevance: float
    best_relevance: float
    similarity: float
    lexical: float
    conversation: float
    date: bool
    speaker: bool
    importance: float
    decay: float


def fuse(
    memory: Memory, parts: HybridWeights, *, similarity: float, importance: float, decay: float, top_k: int
) -> tuple[list[Fused], int]:
    """The best ``top_k`` messages, best first, ties by age and then by id; and how many messages were ranked.

    ``similarity`` weighs relevance, which is divided by the best relevance of what may be found.
    """
    passing = np.flatnonzero(memory.passes)
    if not passing.size:
        return [], 0
    lexical = _lexical(memory, parts)[memory.message]
    own = memory.similarity + parts.lexical * lexical
    conversation = _best_of_each(memory.conversation[memory.message], own)
    relevance = own + parts.conversation * conversation + parts.date * memory.date + parts.speaker * memory.speaker
    best = float(relevance[passing].max())
    shares = np.maximum(relevance, 0) / best if best > 0 else np.zeros_like(relevance)
    lasting = similarity * shares + importance * memory.importance
    exponents = np.maximum(_LEAST_EXPONENT, np.minimum(0, memory.created - memory.as_of) / _DECAY_MICROSECONDS)
    scores = lasting + decay * np.exp(exponents)

    def fused(window: int) -> Fused:
        # exp of numpy may differ in its last bit from machine to machine: that one chooses, this one is told.
        faded = math.exp(float(exponents[window]))
        return Fused(
            message_id=memory.ids[memory.message[window]].tobytes(),
            score=float(lasting[window]) + decay * faded,
            raw_relevance=float(relevance[window]),
            best_relevance=best,
            similarity=float(memory.similarity[window]),
            lexical=float(lexical[window]),
            conversation=float(conversation[window]),
            date=bool(memory.date[window]),
            speaker=bool(memory.speaker[window]),
            importance=float(memory.importance[window]),
            decay=faded,
        )

    candidates = int(np.count_nonzero(np.bincount(memory.message[passing])))
    wanted, kept = min(top_k, candidates), top_k + 16
    while True:
        found: dict[bytes, Fused] = {}
        chosen = _highest(passing, scores, kept)
        for hit in sorted(
            ((window, fused(window)) for window in chosen),
            key=lambda hit: (-hit[1].score, -int(memory.created[hit[0]]), hit[1].message_id),
        ):
            # A message is as similar as its most similar window.
            found.setdefault(hit[1].message_id, hit[1])
        if len(found) >= wanted:
            return list(found.values())[:wanted], candidates
        kept *= 4


def _highest(windows: Integers, scores: Floats, count: int) -> Sequence[int]:
    """The windows of the ``count`` highest scores, and all that are as high as the last of them."""
    if count >= windows.size:
        return [int(window) for window in windows]
    among = scores[windows]
    least = np.partition(among, -count)[-count] - _SLACK
    return [int(window) for window in windows[among >= least]]


def _best_of_each(group: Integers, values: Floats) -> Floats:
    """[n] -> [n]: the highest value of each one's group."""
    best = np.full(int(group.max()) + 1, -np.inf)
    np.maximum.at(best, group, values)
    return np.asarray(best[group])


def _lexical(memory: Memory, parts: HybridWeights) -> Floats:
    """BM25F of each message [messages], divided by the logarithm of the corpus, which a rare word's weight grows with.

    A turn has shares of the words of the two turns before it in its conversation, and of their length.
    """
    turns, scores = len(memory.lengths), np.zeros(len(memory.ids))
    if not turns:
        return scores
    lengths = memory.lengths.astype(np.float64)
    # Whether the turn so many places later is of the same conversation, and its share of this one's words.
    follows = []
    for back, share in enumerate(parts.shares, start=1):
        same = memory.conversation[: max(0, turns - back)] == memory.conversation[back:turns]
        lengths[back:] += share * memory.lengths[: len(same)] * same
        follows.append((back, share, same))
    # No division by the length where no message has a word; there is no word to be found then.
    average = float(lengths.sum()) / turns or 1.0
    norms = parts.k1 * (1 - parts.b + parts.b * lengths / average)
    for word in np.unique(memory.counted_word):
        of_word = memory.counted_word == word
        counts = np.bincount(memory.counted_message[of_word], memory.occurrences[of_word], turns)
        holds = np.flatnonzero(counts > 0)
        occurrences = counts[holds]
        idf = math.log(1 + (turns - len(holds) + 0.5) / (len(holds) + 0.5))
        for back, share, same in follows:
            reach = holds[: np.searchsorted(holds, len(same))]
            counts[reach + back] += share * occurrences[: len(reach)] * same[reach]
        touched = np.flatnonzero(counts > 0)
        counts, norm = counts[touched], norms[touched]
        scores[touched] += np.rint(idf * counts * (parts.k1 + 1) / (counts + norm) * _ROUNDING) / _ROUNDING
    return np.asarray(scores / math.log(turns + 1))

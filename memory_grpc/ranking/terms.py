"""The terms of the hybrid relevance (docs/ranking.md): what each is worth for every window of a memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memory_grpc.ranking.corpus import Corpus, Floats, bm25, counted, idf
from memory_grpc.ranking.cues import ASSISTANT, FIRST_PERSON, QUESTION, TIME
from memory_grpc.ranking.weights import HybridWeights

if TYPE_CHECKING:
    from memory_grpc.ranking.fusion import Memory

Integers = NDArray[np.int64]
Term = tuple[str, float, Floats]

# So many turns to each side are near.
NEAR = 3
_COVERED = 2
# What a query's words count beside similarity, if all of them stand near.
_KNOWN = 0.4


def relevance_terms(memory: Memory, parts: HybridWeights, corpus: Corpus | None) -> tuple[list[Term], Floats]:
    """(name, weight, values [windows]) of each term: relevance is the sum of weight · value; and how likely each window
    is to answer at all [windows], which compares with other searches as relevance does not.

    The five that every recipe has stand in every list, others where they weigh something.
    """
    turn, similarity = memory.turn, memory.similarity
    words, corpus = _words(memory, parts, corpus)
    of_window = words[turn]
    coverage, known = _coverage(memory, corpus)
    own = similarity + parts.lexical * of_window
    terms: list[Term] = [
        ("similarity", 1.0, similarity),
        ("lexical", parts.lexical, of_window),
        ("conversation", parts.conversation, _best_of_each(memory.conversation[turn], own)),
        ("date", parts.date, memory.date.astype(np.float64)),
        ("speaker", parts.speaker, memory.speaker.astype(np.float64)),
    ]
    if parts.near or parts.after:
        best = np.full(len(memory.ids), -np.inf)
        np.maximum.at(best, turn, similarity + parts.near_words * of_window)
        around = (
            ("near", parts.near, _best_near(best, memory.previous[:, 0], NEAR)),
            ("after", parts.after, _after(best, memory.previous[:, 0])),
        )
        terms += [(name, weight, worth[turn]) for name, weight, worth in around if weight]
    if parts.coverage:
        terms.append(("coverage", parts.coverage, coverage[turn]))
    weights = (
        ("asks_when", parts.asks_when if memory.asks_when else 0.0, TIME),
        ("first_person", parts.first_person, FIRST_PERSON),
        ("question", parts.question, QUESTION),
        ("assistant", parts.assistant, ASSISTANT),
    )
    terms += [(name, weight, ((memory.cues & cue) > 0).astype(np.float64)) for name, weight, cue in weights if weight]
    return terms, similarity + _KNOWN * known * coverage[turn]


def _words(memory: Memory, parts: HybridWeights, corpus: Corpus | None) -> tuple[Floats, Corpus]:
    """BM25F [ids] of each message, 0 for one without words: a turn has shares of the words, and of the length, of the
    two turns before it."""
    counts = np.append(memory.counts, np.zeros((1, memory.counts.shape[1]), np.uint8), axis=0).astype(np.float64)
    lengths = np.append(memory.lengths, 0).astype(np.float64)  # the last is what -1 stands for
    all_counts, all_lengths = counts[:-1].copy(), lengths[:-1].copy()
    for back, share in enumerate(parts.shares):
        all_counts += share * counts[memory.previous[:, back]]
        all_lengths += share * lengths[memory.previous[:, back]]
    if corpus is None:
        turns = len(memory.lengths)
        corpus = counted(memory.counts, turns, float(all_lengths.sum()) / turns if turns else 0.0)
    found = np.zeros(len(memory.ids))
    found[: len(memory.lengths)] = bm25(all_counts, all_lengths, corpus, parts)
    return found, corpus


def _coverage(memory: Memory, corpus: Corpus) -> tuple[Floats, float]:
    """[ids]: of the query's words that the tenant knows, weighed by how rare they are, the share that stands in a turn
    or within two turns of it. And the share of all words that the tenant knows, so weighed."""
    words = len(corpus.frequencies)
    everything = math.fsum(idf(corpus, word) for word in range(words)) if corpus.messages else 0.0
    known = np.flatnonzero(corpus.frequencies > 0)
    covered = np.zeros(len(memory.ids))
    masses = [idf(corpus, word) for word in known.tolist()]
    # math.fsum: the same whatever the order of the words.
    whole = math.fsum(masses)
    if whole > 0:
        for word, mass in zip(known.tolist(), masses, strict=True):
            holds = (memory.counts[:, word] > 0).astype(np.float64)
            covered[: len(holds)] += mass / whole * _best_near(holds, memory.previous[:, 0], _COVERED)
    return covered, whole / everything if everything > 0 else 0.0


def _best_near(values: Floats, previous: Integers, reach: int) -> Floats:
    """[ids]: the highest value of each message and of those up to ``reach`` turns away, ``previous`` [turns] being the
    turn before each."""
    best = values.copy()
    back = previous
    for _ in range(reach):
        at = np.flatnonzero(back >= 0)
        before = back[at]
        best[at] = np.maximum(best[at], values[before])
        np.maximum.at(best, before, values[at])
        further = np.full(len(previous), -1, np.int64)
        further[at] = previous[before]
        back = further
    return best


def _after(values: Floats, previous: Integers) -> Floats:
    """[ids]: the value of the turn after each, 0 where there is none or it has none."""
    found = np.zeros(len(values))
    later = np.flatnonzero((previous >= 0) & np.isfinite(values[: len(previous)]))
    found[previous[later]] = values[later]
    return found


def _best_of_each(group: Integers, values: Floats) -> Floats:
    """[n] -> [n]: the highest value of each one's group."""
    best = np.full(int(group.max()) + 1, -np.inf)
    np.maximum.at(best, group, values)
    return np.asarray(best[group])

"""The terms of the hybrid relevance (docs/ranking.md): what each is worth for every window of a memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from memory_grpc.ranking.around import Around
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
    around = Around.of(memory.previous[:, 0], NEAR)
    coverage, known = _coverage(memory, corpus, around)
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
        if parts.near:
            terms.append(("near", parts.near, around.best(best, NEAR)[turn]))
        if parts.after:
            terms.append(("after", parts.after, _after(best, around)[turn]))
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
    turns, words = memory.counts.shape
    lengths = _with_shares(memory.lengths, memory.previous, parts)
    counts = np.empty((words, turns)).T  # each word's in one piece: they are gone through word by word
    for word in range(words):
        counts[:, word] = _with_shares(memory.counts[:, word], memory.previous, parts)
    if corpus is None:
        corpus = counted(memory.counts, turns, float(lengths.sum()) / turns if turns else 0.0)
    found = np.zeros(len(memory.ids))
    found[:turns] = bm25(counts, lengths, corpus, parts)
    return found, corpus


def _with_shares(own: NDArray[np.integer[Any]], previous: Integers, parts: HybridWeights) -> Floats:
    """[turns] -> [turns]: each turn's number, and shares of those of the two turns before it."""
    known = np.zeros(len(own) + 1)  # the last is what -1 stands for
    known[:-1] = own
    total = known[:-1].copy()
    for back, share in enumerate(parts.shares):
        total += share * known[previous[:, back]]
    return total


def _coverage(memory: Memory, corpus: Corpus, around: Around) -> tuple[Floats, float]:
    """[ids]: of the query's words that the tenant knows, weighed by how rare they are, the share that stands in a turn
    or within two turns of it. And the share of all words that the tenant knows, so weighed."""
    words, turns = len(corpus.frequencies), len(memory.counts)
    everything = math.fsum(idf(corpus, word) for word in range(words)) if corpus.messages else 0.0
    known = np.flatnonzero(corpus.frequencies > 0)
    covered = np.zeros(len(memory.ids))
    masses = [idf(corpus, word) for word in known.tolist()]
    # math.fsum: the same whatever the order of the words.
    whole = math.fsum(masses)
    if whole > 0:
        for word, mass in zip(known.tolist(), masses, strict=True):
            covered[:turns] += mass / whole * around.holding(np.flatnonzero(memory.counts[:, word]), _COVERED)
    return covered, whole / everything if everything > 0 else 0.0


def _after(values: Floats, around: Around) -> Floats:
    """[ids]: the value of the turn after each, 0 where there is none or it has none."""
    found = np.zeros(len(values))
    following = around.after[0]
    turns = len(following)
    theirs = np.append(values[:turns], -np.inf)[following]
    found[:turns] = np.where(np.isfinite(theirs), theirs, 0.0)
    return found


def _best_of_each(group: Integers, values: Floats) -> Floats:
    """[n] -> [n]: the highest value of each one's group."""
    best = np.full(int(group.max()) + 1, -np.inf)
    np.maximum.at(best, group, values)
    return np.asarray(best[group])

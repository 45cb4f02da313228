"""Terms that are not in the recipe, to see what they would be worth: each from what the ranking reads anyway."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from memory_grpc.ranking import HybridWeights
from memory_grpc.ranking.corpus import Corpus, bm25, counted, idf
from memory_grpc.ranking.fusion import Memory

Floats = NDArray[np.float64]

CANDIDATES = ("conversation_words", "holds", "brevity", "beside")
# What is shorter or longer than the average by more than e to this, 7 times, is no shorter or longer than that.
_MOST_BREVITY = 2.0


def candidates(memory: Memory, lexical: Floats, parts: HybridWeights) -> dict[str, Floats]:
    """[windows] of each: BM25 of the whole conversation; the share of the query's known words in the turn itself, by
    their idf; how much shorter than the average the turn is, as a logarithm; the best of the turn and of those right
    beside it by similarity and words. ``lexical`` [windows] is BM25 of the turns."""
    corpus = counted(memory.counts, len(memory.lengths), float(memory.lengths.mean()) if len(memory.lengths) else 0.0)
    found = {
        "conversation_words": _conversation_words(memory, parts)[memory.conversation],
        "holds": _holds(memory, corpus),
        "brevity": _brevity(memory, corpus),
        "beside": _beside(memory, lexical, parts),
    }
    return {name: values[memory.turn] for name, values in found.items()}


def _conversation_words(memory: Memory, parts: HybridWeights) -> Floats:
    turns, conversations = len(memory.lengths), int(memory.conversation.max()) + 1
    counts, lengths = np.zeros((conversations, memory.counts.shape[1])), np.zeros(conversations)
    np.add.at(counts, memory.conversation[:turns], memory.counts)
    np.add.at(lengths, memory.conversation[:turns], memory.lengths)
    corpus = counted((counts > 0).astype(np.uint8), conversations, float(lengths.mean()))
    return bm25(counts, lengths, corpus, parts)


def _holds(memory: Memory, corpus: Corpus) -> Floats:
    held = np.zeros(len(memory.ids))
    known = np.flatnonzero(corpus.frequencies > 0).tolist()
    whole = math.fsum(idf(corpus, word) for word in known)
    for word in known:
        held[: len(memory.lengths)] += idf(corpus, word) / whole * (memory.counts[:, word] > 0)
    return held


def _brevity(memory: Memory, corpus: Corpus) -> Floats:
    brief = np.zeros(len(memory.ids))
    shorter = math.log(corpus.average + 1) - np.log(memory.lengths + 1.0)
    brief[: len(memory.lengths)] = np.clip(shorter, -_MOST_BREVITY, _MOST_BREVITY)
    return brief


def _beside(memory: Memory, lexical: Floats, parts: HybridWeights) -> Floats:
    own = np.full(len(memory.ids), -np.inf)
    np.maximum.at(own, memory.turn, memory.similarity + parts.near_words * lexical)
    best, previous = own.copy(), memory.previous[:, 0]
    after = np.flatnonzero(previous >= 0)
    best[after] = np.maximum(best[after], own[previous[after]])
    np.maximum.at(best, previous[after], own[after])
    return best

"""The numbers that BM25 takes from a tenant, and BM25."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_grpc.ranking.weights import HybridWeights

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Corpus:
    """The numbers that BM25 takes from the whole tenant: how many messages it has, their average length in words with
    the shares of the turns before, and in how many of them each of the query's words stands [words]."""

    messages: int
    average: float
    frequencies: Floats


def bm25(counts: Floats, lengths: Floats, corpus: Corpus, parts: HybridWeights) -> Floats:
    """BM25 [turns] of turns that hold the words ``counts`` [turns, words] times and are ``lengths`` [turns] long,
    divided by the logarithm of the corpus, with which the weight of a rare word grows."""
    norms = parts.k1 * (1 - parts.b + parts.b * lengths / (corpus.average or 1.0))
    scores = np.zeros(len(lengths))
    for word in range(len(corpus.frequencies)):
        holds = np.flatnonzero(counts[:, word])
        if holds.size:
            occurrences = counts[holds, word]
            scores[holds] += idf(corpus, word) * occurrences * (parts.k1 + 1) / (occurrences + norms[holds])
    return np.asarray(scores / math.log(corpus.messages + 1)) if corpus.messages else scores


def idf(corpus: Corpus, word: int) -> float:
    """How rare a word of the query is."""
    frequency = float(corpus.frequencies[word])
    return math.log(1 + (corpus.messages - frequency + 0.5) / (frequency + 0.5))


def counted(counts: NDArray[np.uint8], messages: int, average: float) -> Corpus:
    """The corpus of a memory that is a whole tenant."""
    return Corpus(messages, average, (counts > 0).sum(axis=0).astype(np.float64))

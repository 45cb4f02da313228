"""What the sources of a pool give, and what it promises: its score as far as that is known before it is ranked.

A promise is an estimate that says what is kept, and no bound: no reading stops because nothing better can follow. It
knows of a turn what the turn itself has. What others lend it (`near` and `after`) it gets when it is ranked, which it
is if they are found: the turns up to terms.NEAR away from the best are ranked with them, and the turn that `after`
looks at is one away.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.ranking.corpus import Corpus, Floats, bm25
from memory_grpc.ranking.fusion import Flags, Ids, Integers
from memory_grpc.store import hybrid_columns as columns
from memory_grpc.store.database import Row
from memory_grpc.store.rank_request import HybridQuery
from memory_grpc.store.word_index import RARE

_DECAY_MICROSECONDS = 7 * 86400 * 1e6

Windows = NDArray[np.void]

# As hybrid.near has it.
_NEAR = np.dtype(
    [
        ("id", "u8", 2),
        ("conversation", "i8"),
        ("created", ">i8"),
        ("importance", ">f8"),
        ("similarity", ">f8"),
        ("speaks", ">i2"),
    ]
)


class Promise:
    """One query's promises."""

    def __init__(self, hybrid: HybridQuery, weights: ScoreWeights) -> None:
        self._hybrid = hybrid
        self._weights = weights

    def corpus(self, looked_up: Windows, complete: frozenset[int]) -> Corpus:
        """The tenant's numbers: of words that were looked up with all their messages, as they are now; of others, as
        they were when they were last counted. ``complete`` are the places of the former."""
        words = self._hybrid.words
        messages = words.messages or 0
        holding = (
            np.unique(looked_up["id"], axis=0, return_inverse=True)[1].reshape(-1)
            if len(looked_up)
            else looked_up["id"]
        )
        frequencies = []
        for place, word in enumerate(words.words):
            if place in complete:
                frequencies.append(len(np.unique(holding[looked_up["counts"][:, place] > 0])))
            else:
                frequencies.append(RARE if word.frequency is None else word.frequency)
        return Corpus(messages, words.average or 0.0, np.minimum(np.array(frequencies, float), messages))

    def lexical(self, ids: Ids, turns: Windows, corpus: Corpus) -> Floats:
        """[ids]: BM25 of each by the words that are known of it, without those of the turns before; 0 where none
        are."""
        place = columns.places(ids, turns["id"])
        counts, lengths = np.zeros((len(ids), turns["counts"].shape[1])), np.zeros(len(ids))
        there = place >= 0
        np.add.at(counts, place[there], turns["counts"][there])
        lengths[place[there]] = turns["length"][there]
        return bm25(counts, lengths, corpus, self._hybrid.parts)

    def scores(self, windows: Windows, lexical: Floats, per_relevance: float, speaks: Flags | float = 0.0) -> Floats:
        """[windows]: the score of each as far as it is known, where a point of relevance comes to so much."""
        parts, weights = self._hybrid.parts, self._weights
        own = windows["similarity"] + parts.lexical * lexical
        lift = own
        if len(own):
            _, conversation = np.unique(windows["conversation"], return_inverse=True)
            best = np.full(int(conversation.max()) + 1, -np.inf)
            np.maximum.at(best, conversation, own)
            lift = best[conversation]
        created = windows["created"].astype(np.int64) + columns.POSTGRES_EPOCH
        moment = columns.microseconds(self._hybrid.as_of)
        decay = np.exp(np.minimum(0, created - moment) / _DECAY_MICROSECONDS)
        relevance = own + parts.conversation * lift + parts.date * columns.dated(created, self._hybrid.plan)
        # It may be the best of the turns near it; and BM25 stands for coverage, which is about as high.
        relevance += parts.near * (windows["similarity"] + parts.near_words * lexical) + parts.coverage * lexical
        relevance = per_relevance * (relevance + parts.speaker * speaks)
        return np.asarray(relevance + weights.importance * windows["importance"] + weights.decay * decay)

    def per_relevance(self, similar: float) -> float:
        """What a point of relevance comes to in the score if the most similar message, which is ``similar``, is about
        the best: relevance is divided by the best."""
        plan, parts = self._hybrid.plan, self._hybrid.parts
        best = (1 + parts.lift) * similar + parts.date * bool(plan.date_ranges)
        best += parts.speaker * bool(plan.speaker_names or plan.speaker_roles)
        return self._weights.similarity / max(0.1, best)


def windows(row: Row) -> Windows:
    """The windows that a source gave."""
    return np.frombuffer(row["windows"] or b"", _NEAR)


def one_a_message(windows: Windows) -> Windows:
    """By message what was found first of it, with the similarity of its best window."""
    _, first, same = np.unique(windows["id"], axis=0, return_index=True, return_inverse=True)
    best = windows[first].copy()
    np.maximum.at(best["similarity"], same.reshape(-1), windows["similarity"])
    return best


def highest(values: Floats, count: int) -> Integers:
    """The places of the ``count`` highest values."""
    return np.argsort(-values, kind="stable")[:count]

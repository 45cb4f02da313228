"""The weights of the hybrid relevance, learned from questions whose evidence is known.

What is raised is R@10 itself, smoothed so that it has a slope: a piece of evidence counts by how far above the tenth
best of all other messages it scores, through a sigmoid (the surrogate of Patel et al. 2022, "Recall@k Surrogate Loss").
Listwise cross-entropy (ListNet) finds less: it spends its weights on evidence that none bring to the top.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from candidates import candidates
from collect import Asked
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.ranking import HybridWeights
from memory_grpc.ranking.terms import relevance_terms

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

FIRST = HybridWeights.of(
    "surroundings",
    {"lexical": 0.034, "near": 0.382, "after": 0.0, "coverage": 0.182, "date": 0.746, "speaker": 0.299}
    | {"asks_when": 0.216, "first_person": 0.095, "question": -0.048},
)
"""Where learning starts, and what it is drawn to: the recipe before anything was learned here. It has no `after`."""
_ALL = replace(FIRST, after=1.0)
"""What has every term of today's recipe, to see its values."""
REACH = {
    "lexical": 0.05, "near": 0.4, "after": 0.2, "coverage": 0.2, "date": 0.7, "speaker": 0.3, "asks_when": 0.2,
    "first_person": 0.1, "question": 0.06, "conversation_words": 0.07, "holds": 0.3, "brevity": 0.1, "beside": 0.3,
}  # fmt: skip
"""The weights of which relevance is a plain sum (similarity has 1), those of candidates the last: each with how far
from FIRST it goes at the price of _RIDGE."""
_RIDGE = 0.001
# How far above the tenth best is surely found, in relevance.
_WIDTH = 0.06
# The tenth best is the mean of these places, so that no single message decides.
_FIRST, _LAST = 8, 12
# Messages of a question that are looked at: its best by the start, and its evidence.
_LOOKED_AT = 200
_DECAY_MICROSECONDS = 7 * 86400 * 1e6


@dataclass(frozen=True, slots=True)
class Listed:
    """A question with the messages that are looked at: ``terms`` [messages, 1 + REACH], the first being similarity,
    ``prior`` [messages], what importance and decay add, and whether each is evidence, of ``pieces`` that there are."""

    set: str
    sample: str
    pieces: int
    terms: Floats
    prior: Floats
    wanted: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lists:
    """Questions one after the other: ``terms`` and ``prior`` [messages] as above, ``question`` [messages] is the number
    of each one's question, and ``start`` [questions] the first of each. ``evidence`` [pieces] are messages, each
    ``worth`` [pieces] a share of R@10; ``others`` [questions, longest] are those that are not, -1 after the last."""

    terms: Floats
    prior: Floats
    question: Integers
    start: Integers
    evidence: Integers
    worth: Floats
    others: Integers


def first() -> Floats:
    """[REACH]: the weights of FIRST, 0 for candidates."""
    return np.array([getattr(FIRST, name, 0.0) for name in REACH])


def learned(listed: Sequence[Listed], free: Collection[str]) -> Floats:
    """[REACH]: the weights that are best for these questions, those that are not ``free`` as they were. A set counts by
    the square root of how many questions it has, so that the largest does not decide alone."""
    if not listed:
        return first()
    lists = _lists(listed)
    start, reach = first(), np.array(list(REACH.values()))
    changing = np.array([name in free for name in REACH])

    def price(some: Floats) -> tuple[float, Floats]:
        weights = start.copy()
        weights[changing] = some
        loss, slope = _loss(weights, lists)
        away = (weights - start) / reach
        return loss + _RIDGE * float(away @ away), (slope + 2 * _RIDGE * away / reach)[changing]

    found = minimize(price, start[changing], jac=True, method="L-BFGS-B", options={"maxiter": 40})
    start[changing] = found.x.round(3)
    return start


def recall(one: Listed, weights: Floats) -> float:
    """R@10 of a question by these weights."""
    relevance = one.terms @ np.append(1.0, weights)
    score = np.maximum(relevance, 0) + max(float(relevance.max()), 1e-6) * one.prior
    return float(one.wanted[np.argsort(-score, kind="stable")[:10]].sum()) / one.pieces


def _loss(weights: Floats, lists: Lists) -> tuple[float, Floats]:
    """Smoothed R@10, negative, and its slope."""
    relevance = lists.terms @ np.append(1.0, weights)
    best = np.maximum(np.maximum.reduceat(relevance, lists.start), 1e-6)
    # The score in units of relevance.
    score = relevance + best[lists.question] * lists.prior
    among = np.where(lists.others >= 0, score[lists.others], -np.inf)
    top = np.argpartition(-among, _LAST - 1, axis=1)[:, :_LAST]
    order = np.argsort(-np.take_along_axis(among, top, axis=1), axis=1)[:, _FIRST - 1 :]
    tenth = np.take_along_axis(lists.others, np.take_along_axis(top, order, axis=1), axis=1)
    # Where there are not so many messages, the places that there are; where even these are none, all evidence is found.
    is_there = (tenth >= 0).astype(float)
    shares = is_there / np.maximum(is_there.sum(axis=1, keepdims=True), 1)
    least = np.where(is_there.any(axis=1), (shares * score[tenth]).sum(axis=1), -np.inf)
    asked = lists.question[lists.evidence]
    found = expit((score[lists.evidence] - least[asked]) / _WIDTH)
    slope = lists.worth * found * (1 - found) / _WIDTH
    apart = lists.terms[lists.evidence] - (shares[:, :, None] * lists.terms[tenth]).sum(axis=1)[asked]
    return -float(lists.worth @ found), -(slope @ apart)[1:]


def _lists(listed: Sequence[Listed]) -> Lists:
    sizes = Counter(one.set for one in listed)
    lengths = np.array([len(one.prior) for one in listed])
    start = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    question = np.repeat(np.arange(len(listed)), lengths)
    worth = np.array([sizes[one.set] ** -0.5 / one.pieces for one in listed]) / sum(n**0.5 for n in sizes.values())
    evidence = np.flatnonzero(np.concatenate([one.wanted for one in listed]))
    others = np.full((len(listed), max(int(lengths.max()), _LAST)), -1)
    for row, (first, one) in enumerate(zip(start, listed, strict=True)):
        among = first + np.flatnonzero(~one.wanted)
        others[row, : len(among)] = among
    terms, prior = np.concatenate([one.terms for one in listed]), np.concatenate([one.prior for one in listed])
    return Lists(terms, prior, question, start, evidence, worth[question[evidence]], others)


def listed(asked: Asked) -> Listed:
    """A question's best messages, each by its most similar window."""
    memory, score = asked.memory, ScoreWeights()
    terms = {name: values for name, _, values in relevance_terms(memory, _ALL, None)[0]}
    terms |= candidates(memory, terms["lexical"], FIRST)
    order = np.lexsort((-memory.similarity, memory.turn))
    _, places = np.unique(memory.turn[order], return_index=True)
    windows = order[places]
    # A term that a question does not have, as asks_when, is worth nothing.
    nothing = np.zeros(len(memory.turn))
    values = np.stack([terms.get(name, nothing)[windows] for name in ("similarity", *REACH)], axis=1)
    age = np.minimum(0, memory.created[windows] - memory.as_of) / _DECAY_MICROSECONDS
    prior = score.importance * memory.importance[windows] + score.decay * np.exp(np.maximum(age, -700))
    prior /= score.similarity
    wanted = np.array([id_.tobytes() in asked.evidence for id_ in memory.ids[memory.turn[windows]]])
    likely = values @ np.append(1.0, first()) + prior
    # The newer first, as ties are broken.
    kept = np.union1d(np.lexsort((-memory.created[windows], -likely))[:_LOOKED_AT], np.flatnonzero(wanted))
    kept = kept[np.argsort(-memory.created[windows][kept], kind="stable")]
    return Listed(asked.set, asked.sample, len(asked.evidence), values[kept], prior[kept], wanted[kept])

"""The hybrid score with what a reranker says."""

from __future__ import annotations

import pytest

from memory_grpc.ranking.fusion import Fused, Part
from memory_grpc.ranking.rerank import reranked


def hit(number: int, relevance: float, *, best: float = 0.8, importance: float = 0.5, created: int = 0) -> Fused:
    part = Part("similarity", 1.0, relevance)
    score = 0.6 * max(relevance, 0) / best + 0.3 * importance + 0.1
    return Fused(bytes([number]), created, score, relevance, best, relevance, (part,), importance, 1.0, relevance)


def again(hits: list[Fused], values: dict[int, float], weight: float = 1.0) -> list[Fused]:
    given = {bytes([number]): value for number, value in values.items()}
    return reranked(hits, given, weight, similarity=0.6, importance=0.3, decay=0.1)


def test_what_the_reranker_says_is_a_term_of_the_same_sum() -> None:
    hits = [hit(1, 0.8), hit(2, 0.6), hit(3, 0.5), hit(4, -0.2)]
    found = again(hits, {1: 0.1, 2: 0.7, 3: 0.5}, weight=2.0)
    assert [one.message_id[0] for one in found] == [2, 3, 1, 4]
    for one in found:
        assert one.parts[-1].name == "rerank"
        assert one.raw_relevance == pytest.approx(sum(part.weight * part.value for part in one.parts))
        assert one.best_relevance == pytest.approx(0.6 + 2 * 0.7)
        share = max(one.raw_relevance, 0) / one.best_relevance
        assert one.score == pytest.approx(0.6 * share + 0.3 * one.importance + 0.1 * one.decay)
    assert found[0].score == pytest.approx(0.6 + 0.15 + 0.1)
    assert found[-1].parts[-1].value == 0, "it was not read"


def test_what_was_not_read_comes_after_what_was() -> None:
    """Whoever asks for more hits sees the same ones first. A lift makes the others' share of relevance
    less, and what is fresh and important could overtake them."""
    hits = [*(hit(number, 0.8) for number in range(1, 51)), hit(60, 0.15, importance=1.0)]
    values = {number: 1.0 if number == 1 else 0.0 for number in range(1, 51)}
    assert again(hits, values)[:50] == again(hits[:50], values)


def test_the_best_may_be_one_that_was_not_among_the_first() -> None:
    """It has the best relevance of all and little importance: what the others are divided by does not fall below it."""
    (found,) = again([hit(1, 0.5, best=0.9)], {1: 0.1})
    assert (found.raw_relevance, found.best_relevance) == (pytest.approx(0.6), 0.9)


def test_equal_scores_stand_as_they_do_without() -> None:
    found = again([hit(1, 0.5), hit(2, 0.5, created=1), hit(3, 0.5)], dict.fromkeys((1, 2, 3), 0.25))
    assert [one.message_id[0] for one in found] == [2, 3, 1]


def test_nothing_found_is_nothing() -> None:
    assert again([], {}) == []

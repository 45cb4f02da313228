"""The terms of the hybrid relevance that look at the turns around, and the fit of dates."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
import pytest

from memory_grpc.ranking import HybridWeights, Participants, plan_query
from memory_grpc.ranking.cues import FIRST_PERSON, QUESTION, TIME, asks_when
from memory_grpc.ranking.date_fit import date_fit
from memory_grpc.ranking.fusion import Memory
from memory_grpc.ranking.terms import relevance_terms
from memory_grpc.store.hybrid_columns import graded, microseconds
from tests.unit.test_fusion import DAY, memory

NOTHING = {"lexical": 0, "conversation": 0, "date": 0, "speaker": 0}


def values(of: Memory, name: str, **weights: float) -> list[float]:
    """What a term is worth for each window."""
    found = {term: worth for term, _, worth in relevance_terms(of, HybridWeights(**NOTHING | weights), None)[0]}
    return found[name].tolist()


def in_a_row(similarities: list[float], **changes: object) -> Memory:
    """Turns of one conversation, one after the other."""
    number = np.arange(len(similarities))
    previous = np.stack([number - 1, np.maximum(number - 2, -1)], axis=1)
    lengths = np.full(len(similarities), 4)
    counts = np.zeros((len(similarities), 0), np.uint8)
    of = {"conversation": np.zeros(len(similarities), np.int64), "previous": previous, "lengths": lengths}
    return memory(similarities, **{"counts": counts} | of | changes)


def test_the_best_within_three_turns_of_the_conversation_lifts_a_turn() -> None:
    similarities = [0.1, 0.2, 0.3, 0.4, 0.9, 0.1, 0.1, 0.1, 0.15, 0.1]
    assert values(in_a_row(similarities), "near", near=1) == [0.4, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.15, 0.15]


def test_the_turn_right_after_lifts_a_turn_by_similarity_and_words() -> None:
    assert values(in_a_row([0.1, 0.9, -0.2]), "after", after=1) == [0.9, -0.2, 0]
    counts = np.array([[0], [0], [1]], np.uint8)
    said = in_a_row([0.1, 0.9, 0.3], counts=counts)
    words = values(said, "lexical")
    assert words[2] > 0
    assert values(said, "after", after=1, near_words=0.5) == [0.9, 0.3 + 0.5 * words[2], 0]


def test_neither_reaches_into_another_conversation() -> None:
    apart = in_a_row([0.9, 0.1, 0.8], previous=np.array([[-1, -1], [-1, -1], [1, -1]]))
    assert values(apart, "near", near=1) == [0.9, 0.8, 0.8]
    assert values(apart, "after", after=1) == [0, 0.8, 0]


def test_a_turn_that_is_not_embedded_lifts_nothing_and_is_passed_over() -> None:
    of = in_a_row([0.9, 0.0, 0.1])
    keep = [0, 2]
    columns = ("turn", "similarity", "importance", "created", "speaker", "date", "cues", "passes")
    changed = {name: getattr(of, name)[keep] for name in columns}
    fewer = Memory(**{name: getattr(of, name) for name in Memory.__slots__} | changed)
    assert values(fewer, "near", near=1) == [0.9, 0.9]
    assert values(fewer, "after", after=1) == [0, 0]


def test_coverage_is_the_share_of_the_known_words_within_two_turns_by_their_rarity() -> None:
    counts = np.array([[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]], np.uint8)
    covered = values(in_a_row([0.0] * 5, counts=counts), "coverage", coverage=1)
    rare, frequent = math.log(1 + 4.5 / 1.5), math.log(1 + 3.5 / 2.5)
    share = rare / (rare + frequent)
    assert covered == pytest.approx([1, 1, 1, 1 - share, 1 - share])
    assert values(in_a_row([0.0, 0.0]), "coverage", coverage=1) == [0, 0]


def test_cues_count_where_they_are_and_a_word_of_time_only_if_the_query_asks_when() -> None:
    of = memory([0.0, 0.0, 0.0], cues=np.array([TIME, FIRST_PERSON | QUESTION, 0]), asks_when=True)
    assert values(of, "asks_when", asks_when=1) == [1, 0, 0]
    assert values(of, "first_person", first_person=1) == [0, 1, 0]
    assert values(of, "question", question=-1) == [0, 1, 0]
    with pytest.raises(KeyError):
        values(memory([0.0], cues=np.array([TIME])), "asks_when", asks_when=1)


@pytest.mark.parametrize(
    ("query", "is_one"),
    [
        ("When did Ann sail?", True),
        ("what year was it", True),
        ("How long did it take?", True),
        ("What did Ann eat?", False),
        ("whenever you like", False),
    ],
)
def test_queries_that_ask_for_a_time(query: str, is_one: bool) -> None:
    assert asks_when(query) is is_one


def test_a_day_counts_for_more_than_a_week_and_a_year_for_half() -> None:
    inside = np.array([DAY // 2])
    worths = [date_fit(inside, 0, days * DAY)[0] for days in (1, 7, 30, 365, 36500)]
    assert worths == sorted(worths, reverse=True)
    assert (worths[0], worths[3]) == (1, pytest.approx(0.5))
    assert date_fit(inside, None, None)[0] == worths[-1] < date_fit(inside, 0, 365 * DAY)[0]


def test_a_date_fades_slowly_after_it_and_fast_before() -> None:
    times = np.array([-DAY, -1, 0, DAY - 1, 8 * DAY, 100_000 * DAY])
    expected = [math.exp(-3), 1, 1, 1, math.exp(-1), 0]
    assert date_fit(times, 0, DAY) == pytest.approx(expected, abs=1e-9)


def test_the_best_of_the_dates_of_a_query_counts() -> None:
    now = datetime(2024, 8, 1, tzinfo=UTC)
    plan = plan_query("What was on 6 July 2024 or in May 2024?", Participants((), ()), now, HybridWeights())
    times = [datetime(2024, 7, 6, 9, tzinfo=UTC), datetime(2024, 5, 9, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)]
    day, month, neither = graded(np.array([microseconds(time) for time in times]), plan)
    assert day == 1
    assert 0.5 < month < 0.7
    assert neither < 1e-6


def test_the_defaults_are_a_recipe_and_changes_stand_in_its_place() -> None:
    assert HybridWeights.of("conversation") == HybridWeights()
    found = HybridWeights.of("surroundings", {"question": -0.5})
    assert (found.question, found.graded_dates, found.conversation) == (-0.5, True, 0)
    with pytest.raises(ValueError, match="near must be between 0 and 100"):
        HybridWeights.of("surroundings", {"near": -1})
    with pytest.raises(ValueError, match="question must be between -100 and 100"):
        HybridWeights(question=-101)

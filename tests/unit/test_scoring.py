"""The formulas: their values, their bounds, and which way they go."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_grpc import scoring
from memory_grpc.domain.policy import ImportanceWeights, ScoreWeights

DAY = 86400.0
ages = st.floats(min_value=-1e10, max_value=1e10)
shares = st.floats(min_value=0, max_value=1)
cosines = st.floats(min_value=-1, max_value=1)
roles = st.sampled_from(["system", "user", "assistant"])
importance_weights = st.builds(ImportanceWeights, recency=shares, role=shares, explicit=shares)


@pytest.mark.parametrize(
    ("days", "expected"), [(0, 1.0), (7, math.exp(-1)), (14, math.exp(-2)), (3.5, math.exp(-0.5)), (70, math.exp(-10))]
)
def test_decay_is_e_to_the_minus_weeks(days: float, expected: float) -> None:
    assert scoring.decay(days * DAY) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("age", [-1e-9, -1.0, -DAY, -1e12])
def test_what_lies_in_the_future_counts_as_now(age: float) -> None:
    assert scoring.decay(age) == 1.0
    assert scoring.recency(age) == 1.0
    assert scoring.importance(age, "user", None, ImportanceWeights()) == pytest.approx(0.54)


def test_the_score_is_the_documented_sum() -> None:
    assert scoring.score(0.92, 0.8, 0.75, ScoreWeights()) == pytest.approx(0.6 * 0.92 + 0.3 * 0.8 + 0.1 * 0.75)
    assert scoring.score(-1.0, 0.0, 0.0, ScoreWeights()) == pytest.approx(-0.6)
    assert scoring.score(0.3, 0.5, 0.7, ScoreWeights(1.0, 0.0, 0.0)) == 0.3
    assert scoring.score(0.3, 0.5, 0.7, ScoreWeights(0.0, 1.0, 0.0)) == 0.5
    assert scoring.score(0.3, 0.5, 0.7, ScoreWeights(0.0, 0.0, 1.0)) == 0.7


def test_importance_is_clamped_to_one() -> None:
    heavy = ImportanceWeights(recency=1.0, role=1.0, explicit=1.0)
    assert scoring.importance(0, "system", 1.0, heavy) == 1.0


def test_the_role_table_is_the_documented_one() -> None:
    assert scoring.ROLE_IMPORTANCE == {"system": 0.9, "user": 0.7, "assistant": 0.5}


@given(ages, roles, st.none() | shares, importance_weights)
def test_importance_lies_between_0_and_1(
    age: float, role: str, explicit: float | None, weights: ImportanceWeights
) -> None:
    assert 0.0 <= scoring.importance(age, role, explicit, weights) <= 1.0


@given(ages, ages, roles, shares, importance_weights)
def test_importance_never_grows_with_age(
    one: float, other: float, role: str, explicit: float, weights: ImportanceWeights
) -> None:
    younger, older = sorted([one, other])
    assert scoring.importance(younger, role, explicit, weights) >= scoring.importance(older, role, explicit, weights)


@given(ages, roles, shares, shares, importance_weights)
def test_importance_never_falls_with_the_override(
    age: float, role: str, one: float, other: float, weights: ImportanceWeights
) -> None:
    low, high = sorted([one, other])
    assert scoring.importance(age, role, low, weights) <= scoring.importance(age, role, high, weights)


@given(ages, shares)
def test_importance_orders_the_roles(age: float, explicit: float) -> None:
    system, user, assistant = (
        scoring.importance(age, role, explicit, ImportanceWeights()) for role in ("system", "user", "assistant")
    )
    assert system >= user >= assistant


@given(ages)
def test_decay_and_recency_lie_between_0_and_1(age: float) -> None:
    assert 0.0 <= scoring.decay(age) <= 1.0
    assert 0.0 <= scoring.recency(age) <= 1.0


@given(ages, ages)
def test_decay_and_recency_never_grow_with_age(one: float, other: float) -> None:
    younger, older = sorted([one, other])
    assert scoring.decay(younger) >= scoring.decay(older)
    assert scoring.recency(younger) >= scoring.recency(older)


@given(cosines, shares, ages)
def test_the_score_lies_within_its_weights(similarity: float, importance: float, age: float) -> None:
    total = scoring.score(similarity, importance, scoring.decay(age), ScoreWeights())
    assert -0.6 - 1e-12 <= total <= 1.0 + 1e-12


@given(cosines, cosines, shares, shares)
def test_the_score_never_falls_with_similarity(one: float, other: float, importance: float, decay: float) -> None:
    low, high = sorted([one, other])
    weights = ScoreWeights()
    assert scoring.score(low, importance, decay, weights) <= scoring.score(high, importance, decay, weights)

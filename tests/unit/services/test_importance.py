"""Importance at ingest: the documented test, the documented formula, the documented numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from memory_grpc.domain.policy import ImportanceWeights
from memory_grpc.scoring import importance


class ImportanceScorer:
    """The documented scorer's shape over the pure function."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def score(self, *, created_at: datetime, role: str, explicit_importance: float | None) -> float:
        age = (self.now - created_at).total_seconds()
        return importance(age, role, explicit_importance, ImportanceWeights())


NOW = datetime(2025, 11, 14, 20, 30, tzinfo=UTC)


def test_importance_scoring_respects_recency_and_role() -> None:
    scorer = ImportanceScorer(NOW)
    score_recent = scorer.score(created_at=NOW, role="system", explicit_importance=None)
    score_old = scorer.score(created_at=NOW - timedelta(days=2), role="assistant", explicit_importance=None)
    assert score_recent > score_old


@pytest.mark.parametrize(
    ("role", "expected"),
    [("system", 0.4 + 0.2 * 0.9), ("user", 0.4 + 0.2 * 0.7), ("assistant", 0.4 + 0.2 * 0.5)],
)
def test_a_message_said_now_has_full_recency_and_its_role(role: str, expected: float) -> None:
    assert ImportanceScorer(NOW).score(created_at=NOW, role=role, explicit_importance=None) == pytest.approx(expected)


@pytest.mark.parametrize(("hours", "recency"), [(0, 1.0), (6, 0.75), (12, 0.5), (24, 0.0), (24 * 365, 0.0)])
def test_recency_runs_out_in_a_day(hours: float, recency: float) -> None:
    score = ImportanceScorer(NOW).score(created_at=NOW - timedelta(hours=hours), role="user", explicit_importance=None)
    assert score == pytest.approx(0.4 * recency + 0.14)


def test_an_absent_override_counts_as_zero_and_zero_is_not_absence_of_the_rest() -> None:
    scorer = ImportanceScorer(NOW)
    absent = scorer.score(created_at=NOW, role="user", explicit_importance=None)
    assert scorer.score(created_at=NOW, role="user", explicit_importance=0.0) == absent == pytest.approx(0.54)
    assert scorer.score(created_at=NOW, role="user", explicit_importance=1.0) == pytest.approx(0.94)


def test_the_default_weights_are_the_documented_ones() -> None:
    assert ImportanceWeights() == ImportanceWeights(recency=0.4, role=0.2, explicit=0.4)


def test_an_unknown_role_is_no_number() -> None:
    with pytest.raises(KeyError):
        importance(0, "narrator", None, ImportanceWeights())

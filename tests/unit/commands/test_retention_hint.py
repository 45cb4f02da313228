"""What the note on retention says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from memory_grpc.commands.importing.retention_hint import Doomed, doom, sentence
from memory_layer.v1.policy_pb2 import RetentionPolicy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = RetentionPolicy(max_age_days=30, importance_threshold=0.35)


@pytest.mark.parametrize(
    ("age_days", "importance", "expected"),
    [
        (None, 0.54, None),
        (29, 0.35, None),
        (31, 0.35, Doomed("t", 30, None, 0.35)),
        (2, 0.14, Doomed("t", None, 0.14, 0.35)),
        (31, 0.14, Doomed("t", 30, 0.14, 0.35)),
        (None, None, None),
    ],
)
def test_too_old_or_not_important_enough(
    age_days: float | None, importance: float | None, expected: Doomed | None
) -> None:
    oldest = None if age_days is None else NOW - timedelta(days=age_days)
    assert doom("t", oldest, importance, LIMITS, NOW) == expected


def test_the_note_names_the_reasons_and_the_options_that_help() -> None:
    assert sentence([]) == ""
    old, light = Doomed("old", 30, None, 0.35), Doomed("light", None, 0.14, 0.35)
    said = sentence([old])
    assert "(30 days)" in said
    assert "important" not in said
    assert said.endswith("policy set --tenant old --max-age-days 36500")
    said = sentence([light])
    assert "(0.14, below 0.35)" in said
    assert said.endswith("policy set --tenant light --importance-threshold 0")
    said = sentence([old, light])
    assert "messages of old, light are older than" in said
    assert said.endswith("policy set --tenant old --max-age-days 36500 --importance-threshold 0")

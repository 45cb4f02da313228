"""The documented formulas, as pure functions.

::

    importance = 0.4·recency + 0.2·role + 0.4·explicit          clamped to [0, 1]
      recency  = max(0, 1 − age/24 h) at ingest                 role: system .9, user .7, assistant .5
      explicit = importance_override, 0 when absent
    decay      = exp(−age_days / 7)
    score      = 0.6·similarity + 0.3·importance + 0.1·decay

Importance is computed here at ingest. Decay and score are computed in SQL (``sql/queries/search.sql``), where the
ranking happens; the functions here are what the SQL is held to, within 1e-6, by a test.
"""

from __future__ import annotations

import math

from memory_grpc.domain.policy import ImportanceWeights, ScoreWeights

RECENCY_SECONDS = 24 * 3600.0
DECAY_DAYS = 7.0
SECONDS_A_DAY = 86400.0
ROLE_IMPORTANCE = {"system": 0.9, "user": 0.7, "assistant": 0.5}


def recency(age_seconds: float) -> float:
    """1 for a message said now, 0 for one said a day ago or earlier; a negative age counts as 0."""
    return min(1.0, max(0.0, 1.0 - age_seconds / RECENCY_SECONDS))


def importance(age_seconds: float, role: str, explicit: float | None, weights: ImportanceWeights) -> float:
    """Importance at ingest, 0..1.

    ``age_seconds`` is the time between created_at and the ingest; ``explicit`` is importance_override, None
    when absent.
    """
    total = (
        weights.recency * recency(age_seconds)
        + weights.role * ROLE_IMPORTANCE[role]
        + weights.explicit * (explicit or 0.0)
    )
    return min(1.0, max(0.0, total))


def decay(age_seconds: float) -> float:
    """exp(−age in days / 7), 0..1; a message from the future counts as one from now."""
    return math.exp(-max(0.0, age_seconds) / SECONDS_A_DAY / DECAY_DAYS)


def score(similarity: float, importance: float, decay: float, weights: ScoreWeights) -> float:
    """The documented score of a hit."""
    return weights.similarity * similarity + weights.importance * importance + weights.decay * decay

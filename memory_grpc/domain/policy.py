"""What a tenant's policy sets."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field
from datetime import datetime

from memory_grpc.ranking.weights import RECIPE, HybridWeights, Recipe


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """When messages leave: ages in days, importance 0..1."""

    max_age_days: float = 30.0
    importance_threshold: float = 0.35
    delete_after_days: float = 90.0


@dataclass(frozen=True, slots=True)
class ImportanceWeights:
    """Weights of importance at ingest."""

    recency: float = 0.4
    role: float = 0.2
    explicit: float = 0.4

    @property
    def are_nothing(self) -> bool:
        """All 0: every message would be as unimportant as can be, and archived by the next sweep."""
        return not any(astuple(self))


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """Weights of the score of a search."""

    similarity: float = 0.6
    importance: float = 0.3
    decay: float = 0.1

    @property
    def are_nothing(self) -> bool:
        """All 0: every message would score the same."""
        return not any(astuple(self))


@dataclass(frozen=True, slots=True)
class StorageQuota:
    """How much may be stored: messages, and bytes of what they say; 0 is no limit."""

    max_messages: int = 0
    max_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for a tenant; ``overrides`` names the values that are its own (``retention.max_age_days``)."""

    retention: RetentionLimits = field(default_factory=RetentionLimits)
    importance: ImportanceWeights = field(default_factory=ImportanceWeights)
    score: ScoreWeights = field(default_factory=ScoreWeights)
    hybrid: HybridWeights = field(default_factory=lambda: HybridWeights.of(RECIPE))
    hybrid_unspaced: HybridWeights = field(default_factory=HybridWeights)
    """Those for queries in scripts without spaces between words; see docs/ranking.md."""
    recipe: Recipe = RECIPE
    ranking: str = "semantic"
    time_zone: str = "UTC"
    language: str | None = None
    """None where the deployment's text-search configuration counts."""
    quota: StorageQuota = field(default_factory=StorageQuota)
    overrides: tuple[str, ...] = ()
    updated_at: datetime | None = None

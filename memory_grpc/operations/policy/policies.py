"""A tenant's policy: its own values over the deployment's."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from memory_grpc.domain.policy import ImportanceWeights, Policy, RetentionLimits, ScoreWeights
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_grpc.ranking.weights import HybridWeights
from memory_grpc.settings import Settings
from memory_grpc.store import policy as policy_store
from memory_grpc.store.database import Database, Row

# The contract promises that a change reaches every server within 10 seconds.
CACHE_SECONDS = 5.0
_CACHE_ENTRIES = 10_000

# Section of a policy -> its class, the values of it that a policy sets, and how their columns and settings are called.
_SECTIONS: dict[str, tuple[type, tuple[str, ...], str]] = {
    "retention": (
        RetentionLimits,
        ("max_age_days", "importance_threshold", "delete_after_days"),
        "retention_{}",
    ),
    "importance_weights": (ImportanceWeights, ("recency", "role", "explicit"), "importance_{}_weight"),
    "score_weights": (ScoreWeights, ("similarity", "importance", "decay"), "score_{}_weight"),
    "hybrid_weights": (
        HybridWeights,
        ("lexical", "conversation", "date", "speaker", "previous", "names_to_i"),
        "hybrid_{}_weight",
    ),
}


def _columns() -> dict[str, str]:
    """``retention.max_age_days`` -> ``retention_max_age_days``, for every value of a policy."""
    columns = {
        f"{section}.{name}": pattern.format(name)
        for section, (_, names, pattern) in _SECTIONS.items()
        for name in names
    }
    return columns | {"hybrid_weights.names_to_i": "hybrid_names_to_i", "ranking": "search_ranking"}


COLUMNS: Mapping[str, str] = _columns()


class Policies:
    """Reads and sets policies; remembers what it read for a few seconds, because every call needs one."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._defaults = {path: getattr(settings, column) for path, column in COLUMNS.items()}
        self._cache: dict[str, tuple[float, Policy]] = {}

    async def get(self, tenant_id: str, *, fresh: bool = False) -> Policy:
        """The policy that holds for a tenant; ``fresh`` reads past the cache."""
        cached = self._cache.get(tenant_id)
        if cached is not None and not fresh and time.monotonic() - cached[0] < CACHE_SECONDS:
            return cached[1]
        read_at = time.monotonic()
        async with self._database.transaction(tenant=tenant_id) as tx:
            policy = self._merge(await policy_store.get(tx, tenant_id))
        if len(self._cache) >= _CACHE_ENTRIES:
            self._cache.clear()
        self._cache[tenant_id] = (read_at, policy)
        return policy

    async def set(self, tenant_id: str, values: Mapping[str, float | str]) -> Policy:
        """Replaces the tenant's own values, given by path; those left out fall back to the deployment's.

        Raises InvalidInput when that leaves no weight of importance, or of the score, but zeros.
        """
        own = {column: values.get(path) for path, column in COLUMNS.items()}
        _check_weights(self._merge({**own, "updated_at": None}))
        async with self._database.transaction(tenant=tenant_id) as tx:
            await policy_store.set_(tx, tenant_id, own)
        return await self.get(tenant_id, fresh=True)

    def _merge(self, row: Row | None) -> Policy:
        own = {path: row[column] for path, column in COLUMNS.items() if row and row[column] is not None}
        values = self._defaults | own
        sections: dict[str, Any] = {
            section: cls(**{name: values[f"{section}.{name}"] for name in names})
            for section, (cls, names, _) in _SECTIONS.items()
        }
        return Policy(
            retention=sections["retention"],
            importance=sections["importance_weights"],
            score=sections["score_weights"],
            hybrid=sections["hybrid_weights"],
            ranking=values["ranking"],
            overrides=tuple(own),
            updated_at=row["updated_at"] if row else None,
        )


def _check_weights(policy: Policy) -> None:
    """The hybrid weights may all be 0: similarity is left then."""
    nothing = {"importance_weights": policy.importance.are_nothing, "score_weights": policy.score.are_nothing}
    fault = "must not all be 0; where none is given, the deployment's counts"
    if faults := [FieldViolation(section, fault) for section, is_nothing in nothing.items() if is_nothing]:
        raise InvalidInput(faults)

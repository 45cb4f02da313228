"""A tenant's policy: its own values over the deployment's."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from memory_grpc.domain.policy import ImportanceWeights, Policy, RetentionLimits, ScoreWeights, StorageQuota
from memory_grpc.errors import FieldViolation, InvalidInput, PermissionDenied
from memory_grpc.ranking.weights import HybridWeights, Recipe
from memory_grpc.settings import Settings
from memory_grpc.store import policy as policy_store
from memory_grpc.store.database import Database
from memory_grpc.store.policy import COLUMNS, StoredPolicy

# The contract promises that a change reaches every server within 10 seconds.
CACHE_SECONDS = 5.0
_CACHE_ENTRIES = 10_000

QUOTA = "quota."
"""What the paths of a quota begin with."""


def _hybrid(recipe: Recipe, **values: float | bool | None) -> HybridWeights:
    """The weights of a recipe; what is None is the recipe's."""
    return HybridWeights.of(recipe, {name: value for name, value in values.items() if value is not None})


_SECTIONS: dict[str, Callable[..., Any]] = {
    "retention": RetentionLimits,
    "importance_weights": ImportanceWeights,
    "score_weights": ScoreWeights,
    "hybrid_weights": _hybrid,
    "quota": StorageQuota,
}


class Policies:
    """Reads and sets policies; remembers what it read for a few seconds, because every call needs one."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        # A value's setting has the name of its column; a language has none.
        self._defaults = {path: getattr(settings, column, None) for path, column in COLUMNS.items()}
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

    async def set(
        self,
        tenant_id: str,
        values: Mapping[str, float | str],
        quota: Mapping[str, float | str] | None = None,
        *,
        may_change_quota: bool = True,
    ) -> Policy:
        """Replaces the tenant's own values, given by path; those left out fall back to the deployment's, but for the
        quota, which stays where None is given.

        Raises InvalidInput when that leaves no weight of importance, or of the score, but zeros; PermissionDenied when
        it would change a quota and may not.
        """
        _check_weights(self._merge(StoredPolicy(values)))
        async with self._database.transaction(tenant=tenant_id) as tx:
            await policy_store.lock(tx, tenant_id)  # of two at once, neither undoes what the other says of the quota
            own = (await policy_store.get(tx, tenant_id)).values
            kept = {path: value for path, value in own.items() if path.startswith(QUOTA)}
            if quota is not None and not may_change_quota:
                # What was read is what holds, the deployment's values among it.
                if self._merge(StoredPolicy(quota)).quota != self._merge(StoredPolicy(kept)).quota:
                    raise PermissionDenied("Only a key for all tenants can change a quota.")
                quota = None
            await policy_store.set_(tx, tenant_id, {**values, **(kept if quota is None else quota)})
        return await self.get(tenant_id, fresh=True)

    def _merge(self, own: StoredPolicy) -> Policy:
        values: dict[str, Any] = {**self._defaults, **own.values}
        sections: dict[str, Any] = {}
        for section, cls in _SECTIONS.items():
            start = f"{section}."
            sections[section] = cls(
                **{path.removeprefix(start): value for path, value in values.items() if path.startswith(start)}
            )
        return Policy(
            retention=sections["retention"],
            importance=sections["importance_weights"],
            score=sections["score_weights"],
            hybrid=sections["hybrid_weights"],
            hybrid_unspaced=_unspaced(values, is_chosen="hybrid_weights.recipe" in own.values),
            recipe=values["hybrid_weights.recipe"],
            ranking=values["ranking"],
            time_zone=values["time_zone"],
            language=values["language"],
            quota=sections["quota"],
            overrides=tuple(own.values),
            updated_at=own.updated_at,
        )


def _unspaced(values: Mapping[str, Any], *, is_chosen: bool) -> HybridWeights:
    """The cues of the default recipe are English, and it trusts a model that may not read the script: words tell more
    there. What a tenant has chosen counts for all queries."""
    start = "hybrid_weights."
    own = {path.removeprefix(start): value for path, value in values.items() if path.startswith(start)}
    return _hybrid(**own if is_chosen else own | {"recipe": "conversation"})


def _check_weights(policy: Policy) -> None:
    """The hybrid weights may all be 0: similarity is left then."""
    nothing = {"importance_weights": policy.importance.are_nothing, "score_weights": policy.score.are_nothing}
    fault = "must not all be 0; a weight that is not given has the deployment's value"
    if faults := [FieldViolation(section, fault) for section, is_nothing in nothing.items() if is_nothing]:
        raise InvalidInput(faults)

"""tenant_policies: a row for each tenant that sets values of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from memory_grpc.store.database import Transaction

Value = float | str
_HYBRID = (
    "lexical", "near", "after", "conversation", "coverage", "date", "speaker", "asks_when", "first_person",
    "question", "assistant", "rerank", "previous",
)  # fmt: skip
# Section of a policy -> the values of it that a tenant sets, and the pattern of their columns.
_SECTIONS = {
    "retention": (("max_age_days", "importance_threshold", "delete_after_days"), "retention_{}"),
    "importance_weights": (("recency", "role", "explicit"), "importance_{}_weight"),
    "score_weights": (("similarity", "importance", "decay"), "score_{}_weight"),
    "quota": (("max_messages", "max_bytes"), "quota_{}"),
    "hybrid_weights": (_HYBRID, "hybrid_{}_weight"),
}
COLUMNS: Mapping[str, str] = {
    **{f"{section}.{name}": pattern.format(name) for section, (names, pattern) in _SECTIONS.items() for name in names},
    "hybrid_weights.names_to_i": "hybrid_names_to_i",
    "hybrid_weights.recipe": "hybrid_recipe",
    "ranking": "search_ranking",
    "time_zone": "time_zone",
    "language": "language",
}
"""``retention.max_age_days`` -> ``retention_max_age_days``, for every value of a policy."""


@dataclass(frozen=True, slots=True)
class StoredPolicy:
    """A tenant's own values by path; ``updated_at`` None where it has none."""

    values: Mapping[str, Value] = field(default_factory=dict)
    updated_at: datetime | None = None


async def get(tx: Transaction, tenant_id: str) -> StoredPolicy:
    """What the tenant sets for itself."""
    row = await tx.one("policy.get", {"tenant_id": tenant_id})
    if row is None:
        return StoredPolicy()
    own = {path: row[column] for path, column in COLUMNS.items() if row[column] is not None}
    return StoredPolicy(own, row["updated_at"])


async def set_(tx: Transaction, tenant_id: str, values: Mapping[str, Value]) -> None:
    """Replaces the tenant's own values, by path; removes the row when there are none."""
    if values:
        row = {column: values.get(path) for path, column in COLUMNS.items()}
        await tx.execute("policy.set", {"tenant_id": tenant_id, **row})
    else:
        await tx.execute("policy.remove", {"tenant_id": tenant_id})


async def lock(tx: Transaction, tenant_id: str) -> None:
    """Waits until nobody else changes the tenant's policy, and keeps others from it until the transaction ends."""
    await tx.execute("policy.lock", {"tenant_id": tenant_id})

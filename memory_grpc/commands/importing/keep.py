"""``--keep``: a policy under which nothing of an import is archived."""

from __future__ import annotations

from memory_grpc.commands import policy
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target

# The longest age that the contract takes, a hundred years; and no least importance, as old messages have hardly any.
KEPT = {"retention.max_age_days": 36500.0, "retention.importance_threshold": 0.0}


def keep(tenant_id: str, target: Target) -> None:
    """Sets the tenant's limits of age and importance, and leaves the rest of its policy. Raises CommandError."""
    with client(target) as service:
        policy.put(service, tenant_id, KEPT)

"""What the retention policy will do to what an import stored: said before it is gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from memory_grpc.commands import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import complain
from memory_layer.v1 import policy_service_pb2

# A file may hold thousands of tenants; this many are looked at.
_HINTED_TENANTS = 10


@dataclass(frozen=True, slots=True)
class Doomed:
    """A tenant with messages that the next sweep archives, and why; None where that is not why."""

    tenant_id: str
    max_age_days: float | None
    importance: float | None
    importance_threshold: float


def hint_at_retention(oldest: Mapping[str, datetime], least_important: Mapping[str, float], target: Target) -> None:
    """Says which tenants' messages the next sweep archives: those too old, and those too unimportant.

    History is both: a message that is a day old when it is stored has no recency, and most have no
    importance_override.
    """
    tenants = list(dict.fromkeys([*oldest, *least_important]))[:_HINTED_TENANTS]
    if not tenants:
        return
    found = []
    now = datetime.now(UTC)
    with client.client(target) as service:
        for tenant_id in tenants:
            try:
                policy = service.policy(
                    "GetTenantPolicy", policy_service_pb2.GetTenantPolicyRequest(tenant_id=tenant_id)
                )
            except Exception:  # a hint is not worth a failure
                return
            found.append(doom(tenant_id, oldest.get(tenant_id), least_important.get(tenant_id), policy.retention, now))
    if said := sentence([one for one in found if one is not None]):
        complain(said)


def doom(
    tenant_id: str, oldest: datetime | None, least_important: float | None, limits: Any, now: datetime
) -> Doomed | None:
    """What the limits (a RetentionPolicy) do to a tenant with messages so old and so unimportant; None: nothing."""
    too_old = oldest is not None and oldest < now - timedelta(days=limits.max_age_days)
    unimportant = least_important is not None and least_important < limits.importance_threshold
    if not (too_old or unimportant):
        return None
    return Doomed(
        tenant_id,
        limits.max_age_days if too_old else None,
        least_important if unimportant else None,
        limits.importance_threshold,
    )


def sentence(doomed: list[Doomed]) -> str:
    """The note; empty when nothing is doomed. Its figures are the first tenant's with that trouble."""
    reasons, options = [], ""
    if aged := next((one for one in doomed if one.max_age_days is not None), None):
        reasons.append(f"older than the retention policy allows ({aged.max_age_days:g} days)")
        options += " --max-age-days 36500"
    if light := next((one for one in doomed if one.importance is not None), None):
        reasons.append(
            f"less important than the retention policy asks ({light.importance:.3g}, below "
            f"{light.importance_threshold:g})"
        )
        options += " --importance-threshold 0"
    if not reasons:
        return ""
    tenants = ", ".join(one.tenant_id for one in doomed)
    return (
        f"Note: messages of {tenants} are {' or '.join(reasons)}: the next sweep archives them, and search no longer "
        f"finds them. To keep them, import with --keep, or: memory-grpc policy set --tenant {doomed[0].tenant_id}"
        f"{options}"
    )

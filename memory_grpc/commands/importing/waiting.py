"""How many messages wait for their embedding at the end of an import: stored, and not found yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from memory_grpc.commands import pending
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import CommandError

# A file may hold thousands of tenants; this many are asked again.
_ASKED_TENANTS = 10


def count(acknowledged: Mapping[str, int], also: Iterable[str], target: Target) -> int:
    """The messages of an import's tenants that have no embedding.

    ``acknowledged`` says of how many of each tenant's messages the service said so when it took them; some may have
    been embedded since, so the tenants are asked anew, and those of ``also`` too. Where a tenant cannot be asked (no
    search answers while the model is down) the former number stands.
    """
    left = dict(acknowledged)
    tenants = list(dict.fromkeys([*acknowledged, *also]))[:_ASKED_TENANTS]
    if tenants:
        try:
            with client(target) as service:
                for tenant_id in tenants:
                    found = service.memory("SearchMemories", pending.request(tenant_id)).pending
                    left[tenant_id] = found if found < pending.MOST else max(found, left.get(tenant_id, 0))
        except CommandError:  # a number that is known already is not worth a failure
            pass
    return sum(left.values())

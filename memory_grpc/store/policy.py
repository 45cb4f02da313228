"""tenant_policies."""

from __future__ import annotations

from collections.abc import Mapping

from memory_grpc.store.database import Row, Transaction


async def get(tx: Transaction, tenant_id: str) -> Row | None:
    """The tenant's own values, None where it has none; None when it has no policy."""
    return await tx.one("policy.get", {"tenant_id": tenant_id})


async def set_(tx: Transaction, tenant_id: str, values: Mapping[str, float | str | None]) -> None:
    """Replaces the tenant's own values; removes the row when all are None."""
    if all(value is None for value in values.values()):
        await tx.execute("policy.remove", {"tenant_id": tenant_id})
    else:
        await tx.execute("policy.set", {"tenant_id": tenant_id, **values})

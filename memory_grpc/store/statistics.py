"""What is stored of a tenant, counted at a bounded cost."""

from __future__ import annotations

from memory_grpc.domain.statistics import TenantStatistics
from memory_grpc.store.database import Transaction

# So many are counted of all messages; of what is rare; of users and of conversations. So many of the newest messages
# are compared with each other, and so many measured.
_BOUNDS = {
    "most": 1_000_000,
    "most_rare": 100_000,
    "most_names": 10_000,
    "most_compared": 10_000,
    "most_measured": 1_000,
}


async def get(tx: Transaction, tenant_id: str) -> TenantStatistics:
    """The statistics of a tenant; zeros where nothing is stored."""
    row = await tx.one("statistics.get", _BOUNDS | {"tenant_id": tenant_id})
    assert row is not None, "counts have a row"
    return TenantStatistics(**row)

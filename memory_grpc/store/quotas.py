"""How much a tenant has stored."""

from __future__ import annotations

from memory_grpc.store.database import Transaction


async def messages(tx: Transaction, tenant_id: str, most: int) -> int:
    """Its messages, live and archived; ``most`` where there are more."""
    row = await tx.one("quotas.messages", {"tenant_id": tenant_id, "most": most})
    assert row is not None, "a count has a row"
    return int(row["count"])


async def content_bytes(tx: Transaction, tenant_id: str) -> int:
    """Bytes of content and metadata as text, revisions included. Goes through all of them."""
    row = await tx.one("quotas.bytes", {"tenant_id": tenant_id})
    assert row is not None, "a sum has a row"
    return int(row["bytes"])

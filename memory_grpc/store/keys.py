"""api_keys."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from memory_grpc.domain.keys import ApiKey, KeyDigest, NewApiKey
from memory_grpc.store.database import Row, Transaction


async def insert(tx: Transaction, key_id: UUID, prefix: str, digest: bytes, new: NewApiKey) -> ApiKey | None:
    """Stores a key; None when it would have expired before it began."""
    row = await tx.one(
        "keys.insert",
        {
            "id": key_id,
            "prefix": prefix,
            "digest": digest,
            "label": new.label,
            "role": new.role,
            "tenant_ids": None if new.tenant_ids is None else list(new.tenant_ids),
            "expires_at": new.expires_at,
            "rate_limit": new.rate_limit,
        },
    )
    return _key(row) if row else None


async def of_prefix(tx: Transaction, prefix: str) -> list[KeyDigest]:
    """The keys of a prefix that hold now."""
    return [
        KeyDigest(row["id"], bytes(row["digest"]), row["role"], _tenants(row), row["rate_limit"])
        for row in await tx.all("keys.of_prefix", {"prefix": prefix})
    ]


async def is_any(tx: Transaction) -> bool:
    """Whether a key was ever made."""
    row = await tx.one("keys.any")
    return bool(row and row["found"])


async def lock_first(tx: Transaction) -> None:
    """Waits until nobody else is making the first key; held until the transaction ends."""
    await tx.execute("keys.lock_first")


async def page(tx: Transaction, after: tuple[datetime, UUID] | None, limit: int) -> list[ApiKey]:
    """Keys in the order in which they were made, from a place on."""
    after_at, after_id = after or (None, None)
    rows = await tx.all("keys.page", {"after_at": after_at, "after_id": after_id, "limit": limit})
    return [_key(row) for row in rows]


async def revoke(tx: Transaction, key_id: UUID) -> ApiKey | None:
    """Revokes a key; None when there is none."""
    row = await tx.one("keys.revoke", {"id": key_id})
    return _key(row) if row else None


def _key(row: Row) -> ApiKey:
    return ApiKey(**(row | {"tenant_ids": _tenants(row)}))


def _tenants(row: Row) -> tuple[str, ...] | None:
    return None if row["tenant_ids"] is None else tuple(row["tenant_ids"])

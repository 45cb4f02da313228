"""leases: jobs that only one server may do at a time."""

from __future__ import annotations

from uuid import UUID

from memory_grpc.store.database import Transaction


async def acquire(tx: Transaction, name: str, holder: UUID, seconds: float) -> bool:
    """Takes the lease if it is free or has run out."""
    return await tx.one("leases.acquire", {"name": name, "holder": holder, "seconds": seconds}) is not None


async def renew(tx: Transaction, name: str, holder: UUID, seconds: float) -> bool:
    """Renews the lease and holds it until the transaction ends; False when it was lost."""
    return await tx.one("leases.renew", {"name": name, "holder": holder, "seconds": seconds}) is not None


async def release(tx: Transaction, name: str, holder: UUID) -> None:
    """Gives the lease back, if it is still held."""
    await tx.execute("leases.release", {"name": name, "holder": holder})

"""Messages that were said before."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from memory_grpc.domain.messages import NewMessage
from memory_grpc.store.database import Transaction


async def lock(tx: Transaction, keys: Sequence[int]) -> None:
    """Keeps what has these keys to this transaction until it ends; in their order, so that none wait for each other."""
    await tx.all("duplicates.lock", {"keys": list(keys)})


async def find(tx: Transaction, tenant_id: str, messages: Sequence[NewMessage]) -> dict[int, UUID]:
    """By the places of messages, the newest ones that are stored and say the same, at most so long before."""
    rows = await tx.all(
        "duplicates.find",
        {
            "tenant_id": tenant_id,
            "conversation_ids": [m.conversation_id for m in messages],
            "user_ids": [m.user_id for m in messages],
            "roles": [m.role for m in messages],
            "contents": [m.content for m in messages],
            "created_ats": [m.created_at for m in messages],
            "windows_seconds": [m.duplicate_window_seconds for m in messages],
        },
    )
    return {row["place"] - 1: row["id"] for row in rows}

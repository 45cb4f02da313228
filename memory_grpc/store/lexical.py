"""message_lexemes: the words of messages, and who speaks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.store.database import Deferred, Row, Transaction
from memory_grpc.store.portions import portions

# A tenant of more speakers than this has names that no question is likely to mean.
MOST_NAMES = 1000


async def insert_many(tx: Transaction, tenant_id: str, config: str, messages: Sequence[StoredMessage]) -> None:
    """Stores the words of messages that were stored in this transaction, by a text-search configuration."""
    async for some in portions(messages, lambda message: len(message.content)):
        await tx.execute(
            "lexical.insert_many",
            {
                "tenant_id": tenant_id,
                "config": config,
                "message_ids": [m.id for m in some],
                "conversation_ids": [m.conversation_id for m in some],
                "created_ats": [m.created_at for m in some],
                "names": [m.name for m in some],
                "contents": [m.content for m in some],
                "roles": [m.role for m in some],
            },
        )


async def participants(tx: Transaction, tenant_id: str) -> Deferred[tuple[tuple[str, ...], tuple[str, ...], datetime]]:
    """The names of a tenant's speakers, the roles of messages without a name, and the database's time."""
    return await tx.defer("lexical.participants", {"tenant_id": tenant_id, "limit": MOST_NAMES}, _participants)


def _participants(rows: list[Row]) -> tuple[tuple[str, ...], tuple[str, ...], datetime]:
    (row,) = rows
    return tuple(row["names"]), tuple(row["roles"]), row["now"]

"""message_lexemes: the words of messages, and who speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from memory_grpc.domain.language import text_config
from memory_grpc.domain.messages import StoredMessage
from memory_grpc.offload import by_size
from memory_grpc.ranking.lexemes import Lexemes, lexemes
from memory_grpc.store.database import Deferred, Row, Transaction
from memory_grpc.store.portions import portions

# A tenant of more speakers than this has names that no question is likely to mean.
MOST_NAMES = 1000
# Other work on so many bytes takes as long as reading one.
_QUICKER = 4


@dataclass(frozen=True, slots=True)
class Past:
    """What a message was, as far as its words need it."""

    message_id: UUID
    revision: int
    name: str | None
    content: str
    role: str
    language: str | None


async def begin(tx: Transaction, tenant_id: str, config: str) -> Deferred[list[str]]:
    """By which configurations the words of a tenant are stored until the transaction ends: those of its vocabulary, or
    where it has none yet, ``config`` (store/vocabularies.py)."""
    await tx.execute("lexical.lock", {"tenant_id": tenant_id})
    await tx.execute("lexical.begin", {"tenant_id": tenant_id, "config": config})
    return await tx.defer("vocabularies.of_tenant", {"tenant_id": tenant_id}, _configs)


async def insert_many(
    tx: Transaction,
    tenant_id: str,
    config: str,
    messages: Sequence[StoredMessage],
    used: Deferred[list[str]] | None = None,
) -> None:
    """Stores the words of messages that were stored in this transaction; ``used`` is what ``begin`` gave, where it was
    called before."""
    if not messages:
        return
    configs = await (used or await begin(tx, tenant_id, config)).get()
    async for some in portions(messages, lambda message: len(message.content) + len(message.name or "")):
        read = await read_many([(m.content, m.name) for m in some])
        await tx.execute(
            "lexical.insert_many",
            {
                "tenant_id": tenant_id,
                "configs": configs,
                "message_ids": [m.id for m in some],
                "conversation_ids": [m.conversation_id for m in some],
                "created_ats": [m.created_at for m in some],
                "names": [m.name for m in some],
                "text_configs": [text_config(m.language) for m in some],
                "words": [r.words for r in read],
                "others": [r.others for r in read],
                "contents": [m.content for m in some],
                "roles": [m.role for m in some],
            },
        )


async def insert_revisions(tx: Transaction, tenant_id: str, configs: Sequence[str], past: Sequence[Past]) -> None:
    """Stores the words of what messages were by some configurations; words already stored stay."""
    async for some in portions(past, lambda was: len(was.content) + len(was.name or "")):
        read = await read_many([(was.content, was.name) for was in some])
        await tx.execute(
            "lexical.insert_revisions",
            {
                "tenant_id": tenant_id,
                "configs": list(configs),
                "message_ids": [was.message_id for was in some],
                "revisions": [was.revision for was in some],
                "text_configs": [text_config(was.language) for was in some],
                "words": [r.words for r in read],
                "others": [r.others for r in read],
                "contents": [was.content for was in some],
                "roles": [was.role for was in some],
            },
        )


async def read_many(said: Sequence[tuple[str, str | None]]) -> list[Lexemes]:
    """What is found by each of some contents and the names of those who said them."""
    size = sum(len(content) for content, _ in said) // _QUICKER
    return await by_size(size, lambda: [lexemes(content, name or "") for content, name in said])


async def read(text: str) -> Lexemes:
    """What is found by a query."""
    return await by_size(len(text) // _QUICKER, lexemes, text)


async def participants(tx: Transaction, tenant_id: str) -> Deferred[tuple[tuple[str, ...], tuple[str, ...], datetime]]:
    """The names of a tenant's speakers, the roles of messages without a name, and the database's time."""
    return await tx.defer("lexical.participants", {"tenant_id": tenant_id, "limit": MOST_NAMES}, _participants)


def _configs(rows: list[Row]) -> list[str]:
    (row,) = rows
    return [config for config in (row["config"], row["next_config"]) if config is not None]


def _participants(rows: list[Row]) -> tuple[tuple[str, ...], tuple[str, ...], datetime]:
    (row,) = rows
    return tuple(row["names"]), tuple(row["roles"]), row["now"]

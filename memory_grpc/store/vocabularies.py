"""tenant_vocabularies: by which configuration the words of a tenant's messages are stored, and how it becomes another.

::

    english/1 ──begin──▶ english/1, next german/2 ──all filled in, switch──▶ german/2, former english/1 ──▶ german/2

A configuration is named by a text-search configuration of Postgres and the number of the rules of ranking/lexemes.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from psycopg.types.json import Jsonb

from memory_grpc.domain.language import SIMPLE, text_config, text_configs
from memory_grpc.ranking.lexemes import VERSION
from memory_grpc.store import lexical, models
from memory_grpc.store.database import Transaction

# What messages were is filled in so many at a time, or fewer long ones.
_REVISIONS = 256
_REVISION_BYTES = 2 * 2**20


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A tenant's: searches read ``config``; ``next_config`` is being made, and is whole up to the message
    ``filled_to``; ``former`` are to be removed."""

    config: str
    next_config: str | None
    filled_to: UUID | None
    former: Sequence[str]


def named(text_config: str) -> str:
    """The configuration that a text-search configuration and the rules of today make."""
    return f"{text_config}/{VERSION}"


async def lock(tx: Transaction, tenant_id: str) -> None:
    """Waits until nobody stores words of the tenant, and lets nobody begin."""
    await tx.execute("vocabularies.lock", {"tenant_id": tenant_id})


async def of_tenant(tx: Transaction, tenant_id: str) -> Vocabulary | None:
    """How the tenant's words are stored; None where none are."""
    row = await tx.one("vocabularies.of_tenant", {"tenant_id": tenant_id})
    return Vocabulary(**row) if row else None


async def due(tx: Transaction, config: str) -> list[tuple[str, str]]:
    """The tenants whose words are stored otherwise than is wanted, or are changing; and what is wanted: by the language
    of the policy, or ``config``."""
    known = {language: named(found) if found else config for language, found in text_configs().items()}
    params = {"config": config, "configs": Jsonb(known), "other": named(SIMPLE)}
    return [(row["tenant_id"], row["wanted"]) for row in await tx.all("vocabularies.due", params)]


async def begin(tx: Transaction, tenant_id: str, config: str) -> None:
    """Whatever is stored is stored by ``config`` too. Call it under ``lock``."""
    await tx.execute("vocabularies.begin", {"tenant_id": tenant_id, "next_config": config})


async def stop(tx: Transaction, tenant_id: str) -> None:
    """The configuration in use stays. Call it under ``lock``."""
    await tx.execute("vocabularies.stop", {"tenant_id": tenant_id})


async def fill(tx: Transaction, tenant_id: str, config: str, after: UUID | None, limit: int) -> bool:
    """Stores the words of the next messages after one that were stored before; False where there are no more. Nothing
    is archived, updated or erased until the transaction ends: neither would see the words of this one."""
    of = {"tenant_id": tenant_id}
    await models.lock_tenant_shared(tx, tenant_id)
    messages = await tx.all("vocabularies.unfilled", of | {"filled_to": after, "limit": limit})
    if not messages:
        return False
    ids = [m["id"] for m in messages]
    read = await lexical.read_many([(m["content"], m["name"]) for m in messages])
    words = {
        "text_configs": [text_config(m["language"]) for m in messages],
        "words": [r.words for r in read],
        "others": [r.others for r in read],
    }
    await tx.execute("lexical.fill", of | words | {"config": config, "message_ids": ids})
    if changed := {m["id"]: m["language"] for m in messages if m["revision"] > 1}:
        await _fill_revisions(tx, tenant_id, config, changed)
    await tx.execute("vocabularies.note_filled", of | {"filled_to": ids[-1]})
    return True


async def switch(tx: Transaction, tenant_id: str, config: str) -> None:
    """Searches read ``config`` once the transaction is committed. Call it under ``lock``."""
    await tx.execute("vocabularies.switch", {"tenant_id": tenant_id, "next_config": config})


async def lingers(tx: Transaction, tenant_id: str, seconds: float) -> bool:
    """Whether the last change is so young that searches may still read what was before it."""
    row = await tx.one("vocabularies.lingers", {"tenant_id": tenant_id, "seconds": seconds})
    return bool(row and row["lingers"])


async def remove(tx: Transaction, tenant_id: str, config: str, limit: int) -> bool:
    """Removes some words of a configuration that was; False when none are left."""
    of = {"tenant_id": tenant_id, "config": config}
    row = await tx.one("vocabularies.remove", of | {"limit": limit})
    if row and row["removed"]:
        return True
    await tx.execute("vocabularies.remove_revisions", of)
    await tx.execute("vocabularies.removed", of)
    return False


async def _fill_revisions(tx: Transaction, tenant_id: str, config: str, languages: Mapping[UUID, str | None]) -> None:
    of = {"tenant_id": tenant_id, "message_ids": list(languages), "limit": _REVISIONS, "most_bytes": _REVISION_BYTES}
    last: tuple[UUID, int] = UUID(int=0), 0
    while revisions := await tx.all(
        "vocabularies.unfilled_revisions", of | {"after_id": last[0], "after_revision": last[1]}
    ):
        past = [lexical.Past(language=languages[r["message_id"]], **r) for r in revisions]
        await lexical.insert_revisions(tx, tenant_id, [config], past)
        last = past[-1].message_id, past[-1].revision

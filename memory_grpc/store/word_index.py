"""The word indexes of large tenants: a partial index on message_lexemes each, and what was counted of their words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import LiteralString

import psycopg
from psycopg import sql

from memory_grpc.store import lexical
from memory_grpc.store.database import Database, Deferred, Row, Transaction
from memory_grpc.store.guard import Guard, no_guard
from memory_grpc.store.queries import QUERIES
from memory_grpc.store.rank_request import QueryWords, Word

Connection = psycopg.AsyncConnection[Row]

# Words that stand in no more messages than this are not counted beforehand, but whenever they are asked for: then they
# are as rare as they are, and the table of words stays small.
RARE = 200
# A count is worth nothing any more when the tenant's messages are more or fewer by this share: after half of a million
# were deleted, the old count cost 2 of 100 hits.
_CHANGED = 0.1
# Frequent words of which pairs are looked up.
_MOST_PAIRED = 8


@dataclass(frozen=True, slots=True)
class Statistics:
    """What was counted: messages, their words with repeats, and how many words stand in more than RARE messages."""

    messages: int
    length: int
    words: int
    counted_at: datetime


def index_name(tenant_id: str, config: str) -> str:
    """The word index of a tenant: of any identifier, one that Postgres takes."""
    return "tenant_words_" + hashlib.sha256(f"{config}/{tenant_id}".encode()).hexdigest()[:32]


async def build(database: Database, tenant_id: str, config: str, guard: Guard = no_guard) -> None:
    """Builds the index unless it is there and valid, and counts the tenant's words anew. Searches go through the index
    from then on: what was counted tells them that it is there. Cut off, it is to be called again; called again, it
    counts again. ``guard`` is run before the commit, and may raise to stop it."""
    name = index_name(tenant_id, config)
    async with database.maintenance() as connection:
        row = await (await connection.execute(QUERIES["word_index.state"], {"index_name": name})).fetchone()
        if not (row and row["valid"]):
            await _run(connection, "word_index.drop", index=sql.Identifier(name))
            await _run(
                connection,
                "word_index.create",
                index=sql.Identifier(name),
                tenant=sql.Literal(tenant_id),
                config=sql.Literal(config),
            )
    async with database.transaction(tenant=tenant_id) as tx:
        await count(tx, tenant_id, config)
        await guard(tx)


async def count(tx: Transaction, tenant_id: str, config: str) -> None:
    """Counts the tenant's words anew; of those that are in no message any more nothing is left."""
    params = {"tenant_id": tenant_id, "config": config}
    await tx.execute("word_index.forget", params)
    await tx.execute("word_index.count_messages", params)
    await tx.execute("word_index.count_words", params | {"rare": RARE})


async def drop(database: Database, tenant_id: str, config: str, guard: Guard = no_guard) -> None:
    """Forgets what was counted, so that searches scan the tenant, and drops the index, finished or not."""
    async with database.transaction(tenant=tenant_id) as tx:
        await tx.execute("word_index.forget", {"tenant_id": tenant_id, "config": config})
        await guard(tx)
    async with database.maintenance() as connection:
        await _run(connection, "word_index.drop", index=sql.Identifier(index_name(tenant_id, config)))


async def due(tx: Transaction, config: str, hours: float) -> list[tuple[str, str]]:
    """The tenants with a graph whose words were not counted yet, or not for so many hours, or before much changed; and
    the configuration that their searches read, ``config`` where nothing was stored."""
    params = {"config": config, "hours": hours, "changed": _CHANGED}
    return [(row["tenant_id"], row["config"]) for row in await tx.all("word_index.due", params)]


async def counted(tx: Transaction, tenant_id: str) -> list[str]:
    """The configurations by which a tenant's words are counted."""
    return [row["config"] for row in await tx.all("word_index.counted", {"tenant_id": tenant_id})]


async def statistics(tx: Transaction, tenant_id: str, config: str) -> Statistics | None:
    """What was counted of a tenant's words; None when nothing was."""
    row = await tx.one("word_index.statistics", {"tenant_id": tenant_id, "config": config})
    return Statistics(**row) if row else None


async def query_words(
    tx: Transaction, tenant_id: str, config: str, text: str, shares: tuple[float, float], text_config: str | None = None
) -> Deferred[tuple[str, QueryWords]]:
    """The configuration of a tenant's words, ``config`` where it has none, and the words of a query by it, with what is
    known of them in the tenant; ``shares`` are of the turns before, ``text_config`` is the query's own."""
    read = await lexical.read(text)
    params = {
        "tenant_id": tenant_id,
        "config": config,
        "text_config": text_config,
        "words": read.words,
        "others": read.others,
        "previous": shares[0],
        "previous2": shares[1],
    }
    return await tx.defer("hybrid.words", params, _query_words)


def match_text(words: Sequence[Word], messages: int, most: int) -> tuple[str, frozenset[int]]:
    """What to look up in the word index: a tsquery, and the words of which it finds every message, by their places.

    Rare words are all looked up. Others follow, the rarest first, until they stand in ``most`` messages together. Of
    words that are too frequent for that, messages that hold two are looked up, as far as there are few of them: about
    frequency · frequency / messages, if words were independent.
    """
    taken = [i for i, word in enumerate(words) if word.frequency is None]
    frequent = sorted((word.frequency, i) for i, word in enumerate(words) if word.frequency is not None)
    left = most - RARE * len(taken)
    while frequent and frequent[0][0] <= left:
        frequency, i = frequent.pop(0)
        taken.append(i)
        left -= frequency
    parts = [words[i].quoted for i in taken]
    pairs = sorted((f * g // max(messages, 1), i, j) for (f, i), (g, j) in combinations(frequent[:_MOST_PAIRED], 2))
    for together, i, j in pairs:
        if together > left:
            break
        parts.append(f"{words[i].quoted} & {words[j].quoted}")
        left -= together
    return " | ".join(parts), frozenset(taken)


def _query_words(rows: list[Row]) -> tuple[str, QueryWords]:
    words = tuple(Word(row["quoted"], row["frequency"]) for row in rows if row["quoted"] is not None)
    return rows[0]["config"], QueryWords(words, rows[0]["messages"], rows[0]["average"])


async def _run(connection: Connection, query: str, **parts: sql.Composable) -> None:
    text: LiteralString = QUERIES[query]
    await connection.execute(sql.SQL(text).format(**parts))

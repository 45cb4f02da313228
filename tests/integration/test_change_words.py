"""How the words of a tenant come to be stored by another configuration, while they are searched and stored."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from memory_grpc.domain.messages import NewMessage, PreparedMessage, StoredMessage
from memory_grpc.jobs.change_words import LEASE, LEASE_SECONDS, ChangeWords
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.words import IndexWords
from memory_grpc.store import graphs, lexical, messages, models, revisions, vocabularies, word_index
from memory_grpc.store.database import EVERY_TENANT, Database, Transaction
from tests.conftest import StartServer
from tests.integration.test_ingest import eventually
from tests.integration.test_search import fill, message, query
from tests.projections import ADRIFT

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLD, NEW = "simple/1", "english/3"
# What is stored of each message, and of what it was, by configuration.
WORDS = """
    select config, m.content, array_agg(lexeme order by lexeme)
    from message_lexemes l join messages m on m.id = l.message_id, unnest(lexemes)
    group by config, m.content order by config, m.content
"""
PAST = "select config, revision, tsvector_to_array(lexemes) from revision_lexemes order by config, revision"


async def store(database: Database, *contents: str, config: str = OLD) -> list[StoredMessage]:
    """Stores messages of acme with their words."""
    prepared = [
        PreparedMessage(
            uuid4(), NewMessage(tenant_id="acme", conversation_id="c", role="user", content=c), 0.5, "pending"
        )
        for c in contents
    ]
    async with database.transaction(tenant="acme") as tx:
        stored = await messages.insert_many(tx, "acme", prepared)
        await lexical.insert_many(tx, "acme", config, stored)
    return stored


async def update(database: Database, message_id: UUID, content: str) -> None:
    async with database.transaction(tenant="acme") as tx:
        await models.lock_tenant_exclusive(tx, "acme")
        found = await revisions.lock(tx, "acme", message_id)
        assert found is not None
        before, now = found
        await revisions.replace(tx, before, replace(before, content=content, updated_at=now), NEW)


async def state(database: Database) -> vocabularies.Vocabulary:
    async with database.transaction(tenant="acme") as tx:
        found = await vocabularies.of_tenant(tx, "acme")
    assert found is not None
    return found


def job(database: Database, config: str = NEW, linger: float = 0.0) -> ChangeWords:
    lease = Lease(database, LEASE, uuid4(), LEASE_SECONDS)
    return ChangeWords(database, lease, IndexWords(database, config), config, linger=linger)


async def test_all_words_are_made_anew_and_the_old_ones_removed(database: Database, rows: Rows) -> None:
    first, _ = await store(database, "the cats/dogs", "running")
    await update(database, first.id, "the cats")
    rows("update messages set archived_at = now() where content = 'running'")
    rows("update message_lexemes set archived = true where 'running' = any (tsvector_to_array(lexemes))")
    assert {row[0] for row in rows(WORDS)} == {OLD}
    await job(database)()
    assert rows(WORDS) == [(NEW, "running", ["run"]), (NEW, "the cats", ["cat"])]
    assert rows(PAST) == [(NEW, 1, ["cat", "cats/dogs", "dog"])]
    assert rows(ADRIFT) == [(0,)]
    assert await state(database) == vocabularies.Vocabulary(NEW, None, None, [])
    await job(database)()
    assert len(rows(WORDS)) == 2


async def test_long_histories_are_filled_in_by_portions(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vocabularies, "_REVISIONS", 3)
    monkeypatch.setattr(vocabularies, "_REVISION_BYTES", 20)
    portions, insert = [], lexical.insert_revisions

    async def counted(tx: Transaction, tenant_id: str, configs: list[str], past: list[lexical.Past]) -> None:
        portions.append([len(was.content) for was in past])
        await insert(tx, tenant_id, configs, past)

    monkeypatch.setattr(lexical, "insert_revisions", counted)
    first, second = await store(database, "the cats", "dogs")
    for number in range(4):
        await update(database, first.id, f"bird {number} ".ljust(15 * (number % 2) + 10, "x"))
        await update(database, second.id, f"fish {number}")
    await job(database)()
    assert sum(map(len, portions)) == 8
    assert all(len(one) <= 3 and sum(one[:-1]) < 20 for one in portions), portions
    assert rows("select config, count(*) from revision_lexemes group by config") == [(NEW, 8)]
    assert rows(ADRIFT) == [(0,)]


async def test_searches_that_run_keep_what_they_read(database: Database, rows: Rows) -> None:
    await store(database, "cats")
    await job(database, linger=3600)()
    assert await state(database) == vocabularies.Vocabulary(NEW, None, None, [OLD])
    assert rows(WORDS) == [(NEW, "cats", ["cat"]), (OLD, "cats", ["cats"])]
    await job(database)()
    assert rows(WORDS) == [(NEW, "cats", ["cat"])]


async def test_what_is_stored_and_updated_meanwhile_is_stored_both_ways(database: Database, rows: Rows) -> None:
    (first,) = await store(database, "cats")
    async with database.transaction(tenant="acme") as tx:
        await vocabularies.lock(tx, "acme")
        await vocabularies.begin(tx, "acme", NEW)
    await store(database, "dogs")
    await update(database, first.id, "birds")
    assert rows(WORDS) == [
        (NEW, "birds", ["bird"]), (NEW, "dogs", ["dog"]), (OLD, "birds", ["birds"]), (OLD, "dogs", ["dogs"]),
    ]  # fmt: skip
    assert rows(PAST) == [(OLD, 1, ["cats"])]
    await job(database)()
    assert rows(WORDS) == [(NEW, "birds", ["bird"]), (NEW, "dogs", ["dog"])]
    assert rows(PAST) == [(NEW, 1, ["cat"])]


async def test_a_change_waits_for_who_is_storing(database: Database, rows: Rows) -> None:
    await store(database, "cats")
    async with database.transaction(tenant="acme") as tx:
        prepared = PreparedMessage(
            uuid4(), NewMessage(tenant_id="acme", conversation_id="c", role="user", content="dogs"), 0.5, "pending"
        )
        stored = await messages.insert_many(tx, "acme", [prepared])
        await lexical.insert_many(tx, "acme", OLD, stored)
        changing = asyncio.create_task(job(database)())
        waits = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
        await eventually(lambda: rows(waits) == [(1,)])
    await changing
    assert rows(WORDS) == [(NEW, "cats", ["cat"]), (NEW, "dogs", ["dog"])]


async def test_a_change_that_is_not_wanted_any_more_leaves_nothing(database: Database, rows: Rows) -> None:
    await store(database, "cats")
    for unwanted in ("german/3", "french/3"):
        async with database.transaction(tenant="acme") as tx:
            await vocabularies.lock(tx, "acme")
            await vocabularies.begin(tx, "acme", unwanted)
            assert await vocabularies.fill(tx, "acme", unwanted, None, 10)
    assert (await state(database)).former == ["german/3"]
    await job(database, OLD)()
    assert await state(database) == vocabularies.Vocabulary(OLD, None, None, [])
    assert rows(WORDS) == [(OLD, "cats", ["cats"])]


async def test_what_was_filled_in_is_not_filled_in_again(database: Database, rows: Rows) -> None:
    stored = await store(database, "cats", "dogs")
    first, last = sorted(message.id for message in stored)
    async with database.transaction(tenant="acme") as tx:
        await vocabularies.lock(tx, "acme")
        await vocabularies.begin(tx, "acme", NEW)
        assert await vocabularies.fill(tx, "acme", NEW, None, 1)
    assert (await state(database)).filled_to == first
    async with database.transaction(tenant="acme") as tx:
        assert await vocabularies.fill(tx, "acme", NEW, first, 1)
        assert not await vocabularies.fill(tx, "acme", NEW, last, 1)
    assert [row[0] for row in rows(WORDS)] == [NEW, NEW, OLD, OLD]


async def test_nothing_is_archived_or_updated_while_its_words_are_filled_in(database: Database, rows: Rows) -> None:
    await store(database, "cats")
    archives = "select pg_try_advisory_lock(7207, hashtext('acme'))"
    async with database.transaction(tenant="acme") as tx:
        await vocabularies.begin(tx, "acme", NEW)
        assert await vocabularies.fill(tx, "acme", NEW, None, 10)
        assert rows(archives) == [(False,)]
    assert rows(archives) == [(True,)]


async def test_a_large_tenant_has_its_word_index_when_its_searches_begin_to_need_it(
    database: Database, rows: Rows
) -> None:
    await store(database, "cats", "dogs")
    await word_index.build(database, "acme", OLD)
    await job(database)()
    assert rows("select config, messages from tenant_word_statistics") == [(NEW, 2)]
    names = [word_index.index_name("acme", config) for config in (OLD, NEW)]
    assert rows(
        "select indexrelid::regclass::text from pg_index where indexrelid::regclass::text = any (%s)", names
    ) == [(names[1],)]


async def test_the_planner_has_seen_the_new_words_before_searches_read_them(database: Database, rows: Rows) -> None:
    """Else it plans for none, and a search of a million messages takes minutes."""
    seen = "select most_common_vals::text from pg_stats where tablename = 'message_lexemes' and attname = 'config'"
    await store(database, "cats", "dogs")
    rows("alter table message_lexemes set (autovacuum_enabled = false)")
    rows("analyze message_lexemes")
    assert NEW not in str(rows(seen))
    await job(database, linger=120.0)()
    assert (await state(database)).config == NEW
    assert {OLD, NEW} <= set(rows(seen)[0][0].strip("{}").split(","))


async def test_an_index_that_somebody_else_builds_is_waited_for(database: Database) -> None:
    await store(database, "cats")
    await word_index.build(database, "acme", OLD)
    async with database.maintenance() as connection:
        assert await graphs.claim(connection, word_index.index_name("acme", NEW))
        await job(database)()
        assert (await state(database)).config == OLD
    await job(database)()
    assert (await state(database)).config == NEW


async def test_one_tenant_s_trouble_is_not_another_s(database: Database, rows: Rows) -> None:
    await store(database, "cats")
    rows("insert into tenant_vocabularies (tenant_id, config) values ('aaa', 'simple/1')")
    rows("insert into tenant_vocabularies (tenant_id, config, former) values ('aab', 'simple/1', '{}')")
    rows("alter table tenant_vocabularies add constraint refused check (tenant_id <> 'aaa' or next_config is null)")
    await job(database)()
    assert rows("select tenant_id, config from tenant_vocabularies order by tenant_id") == [
        ("aaa", OLD), ("aab", NEW), ("acme", NEW),
    ]  # fmt: skip


async def test_a_server_with_another_text_configuration_changes_what_is_stored(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server(search_text_config="simple") as server:
        await fill(server, [message("we went running", NOW), message("bread", NOW, conversation_id="other")])
    async with start_server() as server:
        request = query("Who runs?", NOW, ranking="hybrid", explain=True)

        async def matches() -> list[str]:
            found = (await server.memory.SearchMemories(request)).items
            return [hit.content for hit in found if {t.name: t.value for t in hit.explanation.terms}["lexical"] > 0]

        await eventually(lambda: rows("select config from tenant_vocabularies") == [(NEW,)], 20)
        assert await matches() == ["we went running"]
        async with server.database.transaction(tenant=EVERY_TENANT) as tx:
            assert await vocabularies.due(tx, NEW) == [("acme", NEW)], "the old words are still to be removed"

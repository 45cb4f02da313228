"""The hybrid ranking over a pool: the same scores as over the whole tenant, and no term that it is blind to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest

from bench import asking
from memory_grpc.domain.messages import NewMessage, PreparedMessage
from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.domain.search import Ranked, SearchFilters
from memory_grpc.filtering import parse
from memory_grpc.ranking import HybridWeights, Participants
from memory_grpc.ranking.weights import Recipe
from memory_grpc.store import embeddings, graphs, hybrid_columns, lexical, messages, models, word_index
from memory_grpc.store.database import EVERY_TENANT, Database, Transaction
from memory_grpc.store.hybrid import Hybrid
from memory_grpc.store.hybrid_pool_size import DEFAULT, PoolSize
from memory_grpc.store.rank import bounded, rank
from memory_grpc.store.rank_request import RankRequest

Rows = Callable[..., list[tuple[Any, ...]]]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AS_OF = SearchFilters(as_of=NOW)
DIMENSIONS = 32
CONFIG = "english"
NAMES = ("Anna", "Boris", "Clara", "Dmitri", "Emilia")
VOCABULARY = 400
EVERYTHING = PoolSize(*[1000] * 14)
SMALL = PoolSize(
    graph=50,
    words=300,
    important=10,
    newest=100,
    dated=200,
    spoken=50,
    kept=30,
    pool=80,
    lifted=9,
    mates=24,
    followed=30,
)


@dataclass(frozen=True)
class Draft:
    """A message to store, with its vector."""

    content: str
    vector: np.ndarray[Any, Any]
    age_days: float = 100.0
    importance: float = 0.5
    name: str | None = "Anna"
    role: str = "user"
    conversation: str = "c"


def unit(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def axis(number: int, *, towards: int | None = None, by: float = 0.0) -> np.ndarray[Any, Any]:
    """A unit vector along an axis, leaning towards another by a cosine."""
    vector = np.zeros(DIMENSIONS, dtype=np.float32)
    vector[number] = np.sqrt(1 - by * by)
    if towards is not None:
        vector[towards] = by
    return vector


def talk(count: int, seed: int = 1) -> list[Draft]:
    """Messages about some topics, with words by Zipf's law, fifteen to a conversation, over a year."""
    rng = np.random.default_rng(seed)
    topics = np.random.default_rng(5).standard_normal((60, DIMENSIONS), dtype=np.float32)
    share = 1 / np.arange(1, VOCABULARY + 1)
    share /= share.sum()
    drafts = []
    for i in range(count):
        words = rng.choice(VOCABULARY, rng.integers(3, 15), p=share)
        topic = topics[(i // 15 + rng.integers(0, 3)) % 60]
        drafts.append(
            Draft(
                " ".join(f"word{word}" for word in words),
                unit(topic + 0.8 * rng.standard_normal(DIMENSIONS, dtype=np.float32)),
                age_days=float(365 * (count - i) / count),
                importance=float(rng.choice([0.3, 0.5, 0.54, 0.9], p=[0.1, 0.5, 0.3, 0.1])),
                name=NAMES[int(rng.integers(0, len(NAMES)))] if i % 7 else None,
                role="assistant" if i % 3 == 0 else "user",
                conversation=f"c{i // 15}",
            )
        )
    return drafts


def questions(count: int, seed: int = 2) -> list[tuple[str, np.ndarray[Any, Any]]]:
    """Questions of rare and frequent words, with and without a speaker and a date, and their vectors."""
    rng = np.random.default_rng(seed)
    texts = []
    for i in range(count):
        ranks = np.exp(rng.uniform(0, np.log(VOCABULARY), 1 + i % 4)).astype(int)
        text = "What about " + " and ".join(f"word{rank}" for rank in ranks)
        text += f" did {NAMES[i % 5]} say" if i % 3 == 1 else " did the user say" if i % 9 == 2 else ""
        text += " in January 2026" if i % 5 == 3 else " on 3 August 2025" if i % 10 == 6 else ""
        texts.append(text + "?")
    drafts = talk(count, seed + 10)
    return [(text, draft.vector) for text, draft in zip(texts, drafts, strict=True)]


async def store(database: Database, tenant: str, drafts: Sequence[Draft]) -> list[UUID]:
    """Stores messages; the ids follow from their place, so that ties fall the same way in every run."""
    new = [
        PreparedMessage(
            id=UUID(int=int.from_bytes(f"{tenant:.4}{len(drafts):06}{i:06}".encode().rjust(16, b"0"))),
            message=NewMessage(
                tenant_id=tenant,
                conversation_id=draft.conversation,
                role=draft.role,
                name=draft.name,
                content=draft.content,
                metadata={"place": i},
                created_at=NOW - timedelta(days=draft.age_days),
            ),
            importance=draft.importance,
            embedding_status="completed",
        )
        for i, draft in enumerate(drafts)
    ]
    vectors = {message.id: draft.vector[None, :] for message, draft in zip(new, drafts, strict=True)}
    async with database.transaction(tenant=EVERY_TENANT) as tx:
        await models.register(tx, name="m", revision="r", precision="fp32", dimensions=DIMENSIONS, first=True)
    async with database.transaction(tenant=tenant) as tx:
        stored = await messages.insert_many(tx, tenant, new)
        await lexical.insert_many(tx, tenant, CONFIG, stored)
        await embeddings.insert_many(tx, tenant, 1, vectors)
    return [message.id for message in new]


async def index(database: Database, tenant: str) -> None:
    """The tenant's graph, and its word index."""
    async with database.maintenance() as connection:
        await graphs.create(connection, tenant, 1, DIMENSIONS, 1000, 64)
    await word_index.build(database, tenant, CONFIG)


Pooled = tuple[list[Ranked], int]
RECIPES: tuple[Recipe, ...] = ("conversation", "surroundings")


async def request_of(
    tx: Transaction, tenant: str, question: str, vector: np.ndarray[Any, Any], only: SearchFilters, **changes: Any
) -> RankRequest:
    parts = changes.pop("parts", None) or HybridWeights()
    request = await asking.request(
        tx,
        tenant,
        question,
        vector,
        only.as_of or NOW,
        config=CONFIG,
        participants=Participants(NAMES, ("user", "assistant")),
        has_graph=True,
        only=only,
        parts=parts,
    )
    return replace(request, **changes)


async def both(
    database: Database,
    tenant: str,
    question: str,
    vector: np.ndarray[Any, Any],
    *,
    filters: SearchFilters = AS_OF,
    size: PoolSize = DEFAULT,
    top_k: int = 10,
    weights: ScoreWeights | None = None,
    parts: HybridWeights | None = None,
) -> tuple[Pooled | None, list[Ranked]]:
    """The hits over the pool, and those over the whole tenant."""
    changes = {"top_k": top_k, "weights": weights or ScoreWeights(), "parts": parts}
    async with database.transaction(tenant=tenant, plan="each") as tx:
        request = await request_of(tx, tenant, question, vector, filters, **changes)
        assert request.hybrid is not None
        ways = Hybrid(tx, request, request.hybrid, size)
        pooled, whole = await ways.of_graph(), await ways.whole()
    assert whole is not None
    return None if pooled is None else (list(pooled.hits), pooled.candidates), list(whole.hits)


async def first(database: Database, question: str, vector: np.ndarray[Any, Any], **options: Any) -> UUID:
    """The best hit over a small pool, which is the best of all."""
    pooled, exact = await both(database, "acme", question, vector, size=SMALL, top_k=3, **options)
    assert pooled is not None
    assert pooled[0][0].message_id == exact[0].message_id
    return exact[0].message_id


@pytest.mark.asyncio
@pytest.mark.parametrize("recipe", RECIPES)
async def test_a_pool_that_covers_the_tenant_gives_the_scores_of_the_whole(database: Database, recipe: Recipe) -> None:
    parts = HybridWeights.of(recipe)
    await store(database, "other", talk(50, seed=9))
    await store(database, "acme", talk(600))
    await index(database, "acme")
    async with database.transaction(tenant="acme") as tx:
        counted = await word_index.statistics(tx, "acme", CONFIG)
    assert counted is not None
    assert counted.messages == 600
    assert counted.words > 0, "some words are counted, others are looked up"
    for question, vector in questions(30):
        pooled, exact = await both(database, "acme", question, vector, size=EVERYTHING, top_k=100, parts=parts)
        assert pooled is not None
        assert pooled[0] == exact, question


@pytest.mark.asyncio
async def test_a_tenant_is_ranked_alike_in_however_many_pieces_it_comes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(database, "acme", talk(100))
    await index(database, "acme")
    for question, vector in questions(10):
        found = []
        for size in (1, 100, 1 << 20):
            monkeypatch.setattr(hybrid_columns, "_PIECE", size)
            found.append((await both(database, "acme", question, vector, top_k=100))[1])
        assert found[0] == found[1] == found[2]
        assert len(found[0]) == 100


@pytest.mark.asyncio
@pytest.mark.parametrize("recipe", RECIPES)
async def test_a_small_pool_finds_nearly_all_and_repeats_itself(database: Database, recipe: Recipe) -> None:
    parts = HybridWeights.of(recipe)
    await store(database, "acme", talk(3000))
    await index(database, "acme")
    found = []
    for question, vector in questions(40):
        pooled, exact = await both(database, "acme", question, vector, size=SMALL, parts=parts)
        assert pooled is not None
        assert pooled[1] < 1500
        wanted = {hit.message_id for hit in exact}
        found.append(len(wanted & {hit.message_id for hit in pooled[0]}) / 10)
        again, _ = await both(database, "acme", question, vector, size=SMALL, parts=parts)
        assert again == pooled
    assert np.mean(found) >= 0.95


@pytest.mark.asyncio
async def test_no_term_of_the_score_is_blind(database: Database) -> None:
    """Each of these wins by one term, and is far down by all the others: a small pool finds it all the same."""
    rng = np.random.default_rng(3)
    question = axis(0)

    def far(**changes: Any) -> Draft:
        """As similar as any other; in the middle of everything."""
        return replace(
            Draft("word1 word2 word3", axis(1, towards=0, by=0.2), name="Boris", conversation="alone"), **changes
        )

    crowd = [
        replace(
            draft,
            vector=unit(axis(1 + i % 30, towards=0, by=0.3) + 0.05 * rng.standard_normal(DIMENSIONS, dtype=np.float32)),
            importance=0.5,
            name="Boris",
            age_days=60.0 + draft.age_days,
        )
        for i, draft in enumerate(talk(3000))
    ]
    planted = {
        "similarity": far(vector=axis(1, towards=0, by=0.9)),
        "lexical": far(content="zugzwang zugzwang", conversation="alone2"),
        "importance": far(importance=1.0, conversation="alone3"),
        "recency": far(age_days=0.01, conversation="alone4"),
        "date": far(age_days=200.0, conversation="alone5"),
        "speaker": far(name="Emilia", conversation="alone6"),
    }
    ids = dict(zip(planted, await store(database, "acme", [*planted.values(), *crowd]), strict=False))
    await index(database, "acme")
    dark = axis(31)  # nothing is similar
    day = (NOW - timedelta(days=200)).strftime("%d %B %Y")
    only = HybridWeights(conversation=0)
    assert await first(database, "anything?", question) == ids["similarity"]
    assert await first(database, "Who was in zugzwang?", dark, parts=only) == ids["lexical"]
    assert await first(database, "anything?", dark, weights=ScoreWeights(0.1, 0.8, 0.1)) == ids["importance"]
    assert await first(database, "anything?", dark, weights=ScoreWeights(0.1, 0.1, 0.8)) == ids["recency"]
    found, exact = await both(database, "acme", f"What happened on {day}?", dark, size=SMALL)
    assert found is not None
    assert exact[0].terms[3].value == 1.0
    assert found[0][0] == exact[0]
    assert await first(database, "What did Emilia say?", dark, parts=only) == ids["speaker"]


@pytest.mark.asyncio
async def test_a_reranker_reads_what_the_pool_has_where_that_is_enough(database: Database) -> None:
    await store(database, "acme", talk(600))
    await index(database, "acme")
    question, vector = questions(1)[0]
    only = replace(AS_OF, where=parse('conversation_id = "c7"'))  # of 15 messages
    async with database.transaction(tenant="acme", plan="each") as tx:
        request = await request_of(tx, "acme", question, vector, only, top_k=50)
        assert request.hybrid is not None
        assert await Hybrid(tx, request, request.hybrid).of_graph() is None
        assert await Hybrid(tx, replace(request, enough=16), request.hybrid).of_graph() is None
        found = await Hybrid(tx, replace(request, enough=10), request.hybrid).of_graph()
    assert found is not None
    assert len(found.hits) == 15


@pytest.mark.asyncio
async def test_dates_and_speakers_of_too_many_messages_are_looked_for_in_the_graph(database: Database) -> None:
    """Too many to be read, and too few of all to be met by chance."""
    crowd = [replace(draft, name="Emilia" if i % 24 == 0 else "Boris") for i, draft in enumerate(talk(4000))]
    await store(database, "acme", crowd)
    await index(database, "acme")
    small = replace(SMALL, dated=100, spoken=50)
    found = []
    for (_, vector), when in zip(questions(10), ("in May 2025", "in June 2025") * 5, strict=True):
        for text in ("What did Emilia say?", f"What happened {when}?", f"What did Emilia say {when}?"):
            pooled, exact = await both(database, "acme", text, vector, size=small)
            assert pooled is not None
            wanted = {hit.message_id for hit in exact}
            found.append(len(wanted & {hit.message_id for hit in pooled[0]}) / 10)
    assert np.mean(found) >= 0.95


@pytest.mark.asyncio
async def test_every_source_reads_its_own_index(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await store(database, "acme", talk(3000))
    await store(database, "other", talk(200, seed=9))
    await index(database, "acme")
    async with database.pool.connection() as connection:
        await connection.execute("vacuum analyze")
    plans: dict[str, str] = {}
    execute = psycopg.AsyncConnection.execute

    async def explained(connection: psycopg.AsyncConnection[Any], query: Any, params: Any = None, **more: Any) -> Any:
        # By what stands in no other statement.
        marks = {
            "hybrid.graph": "<=> %(direction)b",
            "newest": "limit %(newest_limit)s",
            "dated": "as ranges (range) cross join lateral ( select message_id",
            "important": "limit %(important_limit)s",
            "hybrid.stretches": "%(turns_before)s::integer[]",
        }
        name = next((name for name, mark in marks.items() if mark in str(query)), "")
        if name and name not in plans:
            plans[name] = ""
            cursor = await execute(connection, b"explain " + query.encode(), params)
            plans[name] = "\n".join(row["QUERY PLAN"] for row in await cursor.fetchall())
        return await execute(connection, query, params, **more)

    monkeypatch.setattr(psycopg.AsyncConnection, "execute", explained)
    question, vector = "What did Emilia say about word30 and word150 on 3 August 2025?", questions(1)[0][1]
    await both(database, "acme", question, vector, size=SMALL)
    graph, scan = f"Index Scan using {graphs.index_name('acme', 1)}", "Index Only Scan{}using message_embeddings_scan"
    assert graph in plans["hybrid.graph"]
    assert scan.format(" Backward ") in plans["newest"]
    assert scan.format(" ") in plans["dated"]
    assert "using messages_live_by_importance" in plans["important"]
    assert "using message_lexemes_scan" in plans["hybrid.stretches"]
    assert not [name for name, plan in plans.items() if "Seq Scan" in plan]


@pytest.mark.asyncio
async def test_the_turn_after_a_word_and_the_turns_around_the_best_are_in_the_pool(database: Database) -> None:
    crowd = [replace(draft, vector=axis(1 + i % 30, towards=0, by=-0.1)) for i, draft in enumerate(talk(3000))]
    told = [
        Draft("zugzwang", axis(31), age_days=50.3, conversation="chess"),
        Draft("word1", axis(30), age_days=50.2, conversation="chess", importance=0.9),
        Draft("the best", axis(0), age_days=51.0, conversation="long"),
        *(Draft("word1", axis(29), age_days=52 + i, conversation="long", importance=0.9) for i in range(8)),
    ]
    ids = await store(database, "acme", [*told, *crowd])
    await index(database, "acme")
    pooled, exact = await both(database, "acme", "Who was in zugzwang?", -axis(0), size=SMALL, top_k=2)
    assert pooled is not None
    assert {hit.message_id for hit in exact} == set(ids[:2])
    assert pooled[0] == exact
    pooled, exact = await both(database, "acme", "anything?", axis(0), size=SMALL, top_k=9)
    assert pooled is not None
    assert {hit.message_id for hit in exact} == set(ids[2:11])
    assert pooled[0] == exact


@pytest.mark.asyncio
async def test_what_only_the_turn_after_lifts_is_in_the_pool(database: Database) -> None:
    crowd = [replace(draft, vector=axis(1 + i % 30, towards=0, by=0.1)) for i, draft in enumerate(talk(3000))]
    told = [
        Draft("word1", axis(31), age_days=500.2, conversation="asked"),
        Draft("word2", axis(1, towards=0, by=0.9), age_days=500.1, conversation="asked"),
    ]
    ids = await store(database, "acme", [*told, *crowd])
    await index(database, "acme")
    parts = replace(HybridWeights.of("surroundings"), near=0, after=1)
    pooled, exact = await both(database, "acme", "anything?", axis(0), size=SMALL, top_k=2, parts=parts)
    assert pooled is not None
    assert {hit.message_id for hit in exact} == set(ids[:2])
    assert pooled[0] == exact


@pytest.mark.asyncio
async def test_words_of_a_very_long_message_are_looked_up(database: Database) -> None:
    filler = " ".join(f"filler{i:05}" for i in range(3000))
    ids = await store(database, "acme", [Draft(f"{filler} quetzalcoatlus", axis(5)), *talk(1000)])
    await index(database, "acme")
    words = HybridWeights(lexical=100, conversation=0)
    pooled, exact = await both(database, "acme", "quetzalcoatlus", axis(9), size=SMALL, top_k=1, parts=words)
    assert pooled is not None
    assert [hit.message_id for hit in exact] == ids[:1]
    assert pooled[0] == exact


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("wanted", "least"),
    [
        ('role = "assistant"', 8),
        ("importance >= 0.9", 8),
        ('created_at >= "2026-01-01T00:00:00Z" AND created_at < "2026-02-01T00:00:00Z"', 8),
        ("NOT metadata.place < 700", 8),
        ('conversation_id = "c3"', 10),
        ("metadata.place = 77", 1),
        ('created_at >= "2026-03-01T11:00:00Z"', 0),
        ('name = "Clara" AND metadata.place > 1400', 10),
        ('conversation_id = "c3" OR conversation_id = "c80"', 10),
    ],
)
async def test_filters_are_kept_and_what_passes_is_found(database: Database, wanted: str, least: int) -> None:
    await store(database, "acme", talk(1500))
    await index(database, "acme")
    filters = SearchFilters(where=parse(wanted), as_of=NOW)
    for question, vector in [("What about word3 and word200?", talk(1)[0].vector), *questions(8)]:
        async with database.transaction(tenant="acme", plan="each") as tx:
            request = await request_of(tx, "acme", question, vector, filters)
            assert request.hybrid is not None
            ranked = await rank(tx, request)
            exact = await Hybrid(tx, request, request.hybrid).whole()
        assert exact is not None
        assert len(ranked.hits) == len(exact.hits)
        assert ranked.exact == (exact.candidates <= DEFAULT.pool + request.top_k), "whether all that passes was ranked"
        common = {hit.message_id for hit in ranked.hits} & {hit.message_id for hit in exact.hits}
        assert len(common) >= min(least, len(exact.hits))


@pytest.mark.asyncio
async def test_archived_messages_and_the_newest_are_found_in_a_large_tenant(database: Database, rows: Rows) -> None:
    ids = await store(database, "acme", talk(1500))
    for table, column in (("messages", "id"), ("message_embeddings", "message_id"), ("message_lexemes", "message_id")):
        mark = "archived_at = now()" if table == "messages" else "archived = true"
        rows(f"update {table} set {mark} where {column} = any (%s)", ids[:300])
    await index(database, "acme")
    for filters in (
        SearchFilters(as_of=NOW, include_archived=True),
        SearchFilters(as_of=NOW, where=parse("archived = true")),
        SearchFilters(as_of=NOW, candidate_limit=50),
    ):
        found = []
        for question, vector in questions(10):
            async with database.transaction(tenant="acme", plan="each") as tx:
                request = await request_of(tx, "acme", question, vector, filters)
                assert request.hybrid is not None
                ranked = await rank(tx, request)
                exact = await Hybrid(tx, replace(request, filter=await bounded(tx, request)), request.hybrid).whole()
            assert exact is not None
            common = {hit.message_id for hit in ranked.hits} & {hit.message_id for hit in exact.hits}
            found.append(len(common) / 10)
        # Of the archive alone, the whole counts words in the archive, and a pool in what is live.
        assert np.mean(found) >= (0.85 if filters.where else 0.95), filters


@pytest.mark.asyncio
async def test_statistics_are_those_of_the_last_count(database: Database, rows: Rows) -> None:
    await store(database, "acme", talk(500))
    assert (await both(database, "acme", "word3", axis(1)))[0] is None, "never counted"
    await index(database, "acme")
    await store(database, "acme", talk(300, seed=4))

    async def statistics() -> word_index.Statistics:
        async with database.transaction(tenant="acme") as tx:
            found = await word_index.statistics(tx, "acme", CONFIG)
        assert found is not None
        return found

    before = await statistics()
    await word_index.build(database, "acme", CONFIG)
    after = await statistics()
    assert (before.messages, after.messages) == (500, 800)
    assert after.counted_at > before.counted_at
    counted = dict(rows("select word, frequency from tenant_words where tenant_id = 'acme'"))
    true = dict(
        rows(
            "select lexeme, count(*) from message_lexemes, unnest(lexemes) where tenant_id = 'acme' "
            "group by lexeme having count(*) > 200"
        )
    )
    assert counted == true
    question, vector = questions(1)[0]
    pooled, exact = await both(database, "acme", question, vector, size=EVERYTHING)
    assert pooled is not None
    assert pooled[0] == exact


@pytest.mark.asyncio
async def test_words_are_counted_again_when_much_has_changed(database: Database, rows: Rows) -> None:
    ids = await store(database, "acme", talk(500))
    await index(database, "acme")
    rows(
        "insert into tenant_graphs (tenant_id, model_id, index_name, state, messages) "
        "values ('acme', 1, %s, 'ready', 1)",
        graphs.index_name("acme", 1),
    )

    async def due() -> list[str]:
        async with database.transaction(tenant=EVERY_TENANT) as tx:
            return [tenant_id for tenant_id, _ in await word_index.due(tx, CONFIG, 24)]

    assert await due() == []
    rows("delete from messages where id = any (%s)", ids[:45])
    assert await due() == []
    rows("delete from messages where id = any (%s)", ids[:60])
    assert await due() == ["acme"]
    await word_index.build(database, "acme", CONFIG)
    assert await due() == []


@pytest.mark.asyncio
async def test_an_index_that_is_dropped_leaves_nothing(database: Database, rows: Rows) -> None:
    await store(database, "acme", talk(300))
    await index(database, "acme")
    name = word_index.index_name("acme", CONFIG)
    valid = "select indisvalid from pg_index where indexrelid = to_regclass(%s)"
    assert rows(valid, name) == [(True,)]
    await word_index.drop(database, "acme", CONFIG)
    await word_index.drop(database, "acme", CONFIG)
    assert rows(valid, name) == []
    assert rows("select count(*) from tenant_words") == [(0,)]
    assert (await both(database, "acme", "word3", axis(1)))[0] is None


@pytest.mark.asyncio
async def test_an_unfinished_index_is_built_anew(database: Database, rows: Rows) -> None:
    await store(database, "acme", talk(300))
    await index(database, "acme")
    name = word_index.index_name("acme", CONFIG)
    rows("update pg_index set indisvalid = false where indexrelid = to_regclass(%s)", name)
    await word_index.build(database, "acme", CONFIG)
    assert rows("select indisvalid from pg_index where indexrelid = to_regclass(%s)", name) == [(True,)]


@pytest.mark.asyncio
async def test_the_look_up_takes_its_tenant_from_the_transaction_and_uses_the_index(database: Database) -> None:
    await store(database, "acme", talk(2000))
    await store(database, "other", talk(2000, seed=6))
    await index(database, "acme")
    statement = "select message_id from tenant_matches('english', '''word150''', null)"
    async with database.transaction(tenant=EVERY_TENANT) as tx:
        await tx._connection.execute("set local role memory_layer_tenant")
        assert await (await tx._connection.execute(statement)).fetchall() == []
    found = {}
    for tenant in ("acme", "other", "nobody"):
        async with database.transaction(tenant=tenant) as tx:
            found[tenant] = {row["message_id"] for row in await (await tx._connection.execute(statement)).fetchall()}
            of = await messages.get_many(tx, tenant, list(found[tenant]))
            assert set(await of.get()) == found[tenant]
    assert found["acme"]
    assert found["other"]
    assert not found["nobody"]


@pytest.mark.asyncio
async def test_a_query_without_words_is_ranked_by_the_rest(database: Database) -> None:
    await store(database, "acme", talk(600))
    await index(database, "acme")
    for text in ("?!", "the of and", "'''\\\\ & | ! ( ) : *", "日本語"):
        pooled, exact = await both(database, "acme", text, talk(1)[0].vector, size=EVERYTHING)
        assert pooled is not None
        assert pooled[0] == exact

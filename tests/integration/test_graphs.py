"""Large tenants: a graph of their own, built and dropped in the background, and a ranking over its pool that misses
nothing of account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import numpy as np
import psycopg
import pytest
from pgvector import HalfVector

from bench import asking
from memory_grpc.domain.messages import NewMessage, PreparedMessage
from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.domain.search import SearchFilters
from memory_grpc.errors import LeaseLost, StoreUnavailable
from memory_grpc.filtering import parse
from memory_grpc.jobs.graphs import LEASE, LEASE_SECONDS, BuildGraphs
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.words import IndexWords
from memory_grpc.operations.indexes.graphs import Graphs
from memory_grpc.store import embeddings, graphs, messages, models, word_index
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.rank import rank
from memory_grpc.store.search import Semantic
from memory_layer.v1 import index_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import StartServer
from tests.plans import explained

Rows = Callable[..., list[tuple[Any, ...]]]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DIMENSIONS = 32
AS_OF = SearchFilters(as_of=NOW)


def only(text: str) -> SearchFilters:
    """What passes a filter."""
    return SearchFilters(where=parse(text), as_of=NOW)


def vectors(count: int, rng: np.random.Generator) -> np.ndarray[Any, Any]:
    """Unit vectors about some hundred topics."""
    topics = np.random.default_rng(5).standard_normal((100, DIMENSIONS), dtype=np.float32)
    drawn = topics[rng.integers(0, 100, count)] + 0.7 * rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


async def store(
    database: Database,
    tenant: str,
    points: np.ndarray[Any, Any],
    ages: Sequence[float],
    importances: Sequence[float],
    role: str = "user",
) -> list[UUID]:
    """Stores messages with these vectors, ages in days and importances; returns their ids."""
    prepared = [
        PreparedMessage(
            id=uuid4(),
            message=NewMessage(
                tenant_id=tenant,
                conversation_id=f"c{i // 20}",
                role=role,
                content="something",
                created_at=NOW - timedelta(days=float(age)),
            ),
            importance=float(importance),
            embedding_status="completed",
        )
        for i, (age, importance) in enumerate(zip(ages, importances, strict=True))
    ]
    async with database.transaction(tenant=EVERY_TENANT) as tx:
        await models.register(tx, name="m", revision="r", precision="fp32", dimensions=DIMENSIONS, first=True)
    async with database.transaction(tenant=tenant) as tx:
        stored = await messages.insert_many(tx, tenant, prepared)
        await embeddings.insert_many(tx, tenant, 1, {m.id: v[None, :] for m, v in zip(stored, points, strict=True)})
    return [m.id for m in stored]


async def fill(database: Database, tenant: str, count: int, seed: int = 1) -> None:
    rng = np.random.default_rng(seed)
    await store(database, tenant, vectors(count, rng), rng.random(count) * 200, rng.random(count))


def builder(
    database: Database, threshold: int = 500, lease_seconds: float = LEASE_SECONDS
) -> tuple[BuildGraphs, Graphs]:
    known = Graphs(database)
    lease = Lease(database, LEASE, uuid4(), lease_seconds)
    words = IndexWords(database, "english")
    return BuildGraphs(database, lease, known, words, threshold=threshold, memory_mb=64), known


async def both(
    database: Database,
    tenant: str,
    query: np.ndarray[Any, Any],
    filters: SearchFilters = AS_OF,
    weights: ScoreWeights | None = None,
    top_k: int = 10,
) -> tuple[list[UUID] | None, list[UUID]]:
    """The hits over the pool, and those of the scan."""
    async with database.transaction(tenant=tenant) as tx:
        request = await asking.request(tx, tenant, "", query, NOW, only=filters, top_k=top_k)
        ways = Semantic(tx, replace(request, weights=weights or ScoreWeights()))
        pooled, exact = await ways.of_graph(), await ways.whole()
    assert exact is not None
    if pooled is None:
        return None, [hit.message_id for hit in exact.hits]
    scores = {hit.message_id: (hit.score, hit.terms) for hit in exact.hits}
    for hit in pooled.hits:
        assert hit.message_id not in scores or scores[hit.message_id] == (hit.score, hit.terms)
    return [hit.message_id for hit in pooled.hits], [hit.message_id for hit in exact.hits]


async def explain(database: Database, name: str, tenant: str, *, generic: bool = False) -> str:
    """The plan of a ranking statement, the same for any values where that is asked for."""
    query = vectors(1, np.random.default_rng(3))[0]
    async with database.transaction(tenant=tenant) as tx:
        request = await asking.request(tx, tenant, "", query, NOW)
        params = request.params | {
            "graph_query": HalfVector(np.append(0.6 * query, [0.3, 0.0])),
            "scan_limit": 26,
            "newest": 520,
            "pool": 200,
            "newest_seconds": 1e6,
            "is_counted": False,
        }
        parts = (("dimensions", str(DIMENSIONS + 2)), *request.filter.parts)
        return await explained(tx, name, params, parts, generic=generic)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "weights", [ScoreWeights(), ScoreWeights(1, 0, 0), ScoreWeights(0, 1, 0), ScoreWeights(0.2, 0.5, 0.9)]
)
async def test_the_pool_finds_what_the_scan_finds(database: Database, weights: ScoreWeights) -> None:
    await fill(database, "large", 4000)
    await fill(database, "other", 300, seed=2)
    build, known = builder(database)
    assert await build() is True
    while await build():  # its words
        pass
    assert known.usable("large", 1)
    assert not known.usable("other", 1)
    found = wanted = 0
    for query in vectors(50, np.random.default_rng(9)):
        pooled, exact = await both(database, "large", query, weights=weights)
        assert pooled is not None
        found += len(set(pooled) & set(exact))
        wanted += len(exact)
    assert found / wanted >= 0.99


@pytest.mark.asyncio
async def test_no_term_is_blind(database: Database) -> None:
    """A message that is found for one thing alone: its similarity, its importance, its age."""
    query = vectors(1, np.random.default_rng(9))[0]
    near = query + 0.05 * np.random.default_rng(1).standard_normal(DIMENSIONS, dtype=np.float32)
    others = vectors(400, np.random.default_rng(11))
    far = others[np.argsort(others @ query)[100]]
    rng = np.random.default_rng(1)
    await store(database, "large", vectors(3000, rng), 5 + rng.random(3000) * 200, rng.random(3000) * 0.9)
    await builder(database)[0]()
    (similar,) = await store(database, "large", near[None, :], [150], [0.0])
    (important,) = await store(database, "large", far[None, :], [150], [1.0])
    (recent,) = await store(database, "large", far[None, :], [0], [0.0])
    for weights, expected in (
        (ScoreWeights(1, 0, 0), similar),
        (ScoreWeights(0.02, 1, 0), important),
        (ScoreWeights(0.2, 0.1, 1), recent),
    ):
        pooled, exact = await both(database, "large", query, weights=weights, top_k=5)
        assert pooled is not None
        assert exact[0] == expected
        assert pooled[0] == expected


@pytest.mark.asyncio
async def test_recall_holds_after_half_of_the_rows_are_gone(database: Database, rows: Rows) -> None:
    await fill(database, "large", 4000)
    await builder(database)[0]()
    rows("delete from messages where tenant_id = 'large' and get_byte(uuid_send(id), 3) < 128")
    for vacuumed in (False, True):
        if vacuumed:
            rows("vacuum message_embeddings")
        found = wanted = 0
        for query in vectors(30, np.random.default_rng(9)):
            pooled, exact = await both(database, "large", query)
            assert pooled is not None
            found += len(set(pooled) & set(exact))
            wanted += len(exact)
        assert found / wanted >= 0.99


@pytest.mark.asyncio
async def test_filters_that_leave_less_than_a_pool_are_not_asked_of_the_graph(database: Database) -> None:
    await fill(database, "large", 2000)
    rng = np.random.default_rng(4)
    few = await store(database, "large", vectors(7, rng), [10] * 7, [0.5] * 7, role="system")
    await builder(database)[0]()
    pooled, exact = await both(database, "large", vectors(1, rng)[0], only('role = "system"'))
    assert pooled is None
    assert sorted(exact) == sorted(few)
    many, exact = await both(database, "large", vectors(1, rng)[0], only('role = "user"'))
    assert many is not None
    assert not set(many) & set(few)


@pytest.mark.asyncio
async def test_a_graph_serves_no_search_that_it_knows_nothing_of(database: Database, rows: Rows) -> None:
    """Nor one whose messages are found sooner without it. All the same there are as many hits as pass."""
    await fill(database, "large", 4000)
    rows("update messages set archived_at = now(), role = 'system' where get_byte(uuid_send(id), 3) < 64")
    rows("update message_embeddings set archived = true, role = 's' where get_byte(uuid_send(message_id), 3) < 64")
    ((archived,),) = rows("select count(*) from messages where archived_at is not null")
    await builder(database)[0]()
    query = vectors(1, np.random.default_rng(9))[0]

    async def ranked(filters: SearchFilters, weights: ScoreWeights, top_k: int) -> tuple[int, bool]:
        async with database.transaction(tenant="large", plan="each") as tx:
            request = await asking.request(tx, "large", "", query, NOW, only=filters, top_k=top_k, has_graph=True)
            ranking = await rank(tx, replace(request, weights=weights))
        return len(ranking.hits), ranking.exact

    usual = ScoreWeights()
    assert await ranked(AS_OF, usual, 5) == (5, False)
    assert await ranked(AS_OF, usual, 250) == (250, False)
    assert await ranked(AS_OF, usual, 251) == (251, True)
    assert await ranked(AS_OF, ScoreWeights(0, 0, 1), 5) == (5, True)
    assert await ranked(replace(AS_OF, include_archived=True), usual, 5) == (5, False), "the archive is scanned besides"
    assert await ranked(only("archived = true"), usual, 1000) == (min(archived, 1000), True)
    assert await ranked(replace(AS_OF, candidate_limit=7), usual, 10) == (7, True)
    assert await ranked(only('conversation_id = "c3"'), usual, 5) == (5, True)
    assert await ranked(only('role = "system"'), usual, 5) == (0, True)


@pytest.mark.asyncio
@pytest.mark.parametrize("generic", [False, True])
async def test_the_scan_reads_the_covering_index_and_nothing_else(database: Database, generic: bool) -> None:
    """Also right after a mass ingest, before anything is vacuumed or analysed; and where a tenant is most of the table,
    which is hardly larger than the index then."""
    await fill(database, "large", 3000)
    for i in range(5):
        await fill(database, f"other-{i}", 200, seed=i + 3)
    for vacuumed in (False, True):
        if vacuumed:
            async with database.pool.connection() as connection:
                await connection.execute("vacuum analyze")
        plan = await explain(database, "search.scan", "large", generic=generic)
        assert plan.count("Index Only Scan using message_embeddings_scan on message_embeddings") == 1, plan
        assert plan.count("Index Only Scan Backward using message_embeddings_scan on message_embeddings") == 1, plan
        assert plan.count("Scan") == plan.count("Index Only Scan") + plan.count("CTE Scan") + plan.count(
            "Subquery Scan"
        )


@pytest.mark.asyncio
async def test_the_pool_comes_from_the_graph(database: Database) -> None:
    await fill(database, "large", 3000)
    await builder(database)[0]()
    plan = await explain(database, "search.pooled", "large")
    assert f"Index Scan using {graphs.index_name('large', 1)}" in plan
    assert "Index Only Scan Backward using message_embeddings_scan" in plan


@pytest.mark.asyncio
async def test_a_tenant_that_shrinks_or_goes_loses_its_graph(database: Database, rows: Rows) -> None:
    for tenant in ("a", "b", "c"):
        await fill(database, tenant, 600)
    build, known = builder(database)
    while await build():
        pass
    assert [graph.tenant_id for graph in await known.all()] == ["a", "b", "c"]
    assert [graph.tenant_id for graph in await known.all("b")] == ["b"]
    rows(
        "delete from messages where tenant_id = 'a' and id in (select id from messages where tenant_id = 'a' limit 300)"
    )
    rows("delete from messages where tenant_id = 'b'")
    rows(
        "delete from messages where tenant_id = 'c' and id in (select id from messages where tenant_id = 'c' limit 400)"
    )
    while await build():
        pass
    assert [graph.tenant_id for graph in await known.all()] == ["a"]
    assert rows("select relname from pg_class where relname like 'tenant_graph\\_%%'") == [(graphs.index_name("a", 1),)]
    assert known.usable("a", 1)
    assert not known.usable("b", 1)
    assert rows("select tenant_id from tenant_word_statistics") == [("a",)]
    assert rows("select count(*) from pg_class where relname like 'tenant\\_words\\_%%' and relkind = 'i'")[0][0] >= 1


@pytest.mark.asyncio
async def test_a_build_that_was_cut_off_is_begun_anew(database: Database, rows: Rows) -> None:
    await fill(database, "large", 600)
    name = graphs.index_name("large", 1)
    # What a server killed in the middle leaves: a note, and an index that is not valid.
    async with database.transaction(tenant="large") as tx:
        await graphs.begin(tx, "large", 1)
    rows(f"create index {name} on message_embeddings (chunk)")
    rows("update pg_index set indisvalid = false where indexrelid = to_regclass(%s)", name)
    build, known = builder(database)
    await known.refresh()
    assert not known.usable("large", 1)
    assert await build() is True
    assert known.usable("large", 1)
    assert rows("select indexdef like '%%hnsw%%' from pg_indexes where indexname = %s", name) == [(True,)]


@pytest.mark.asyncio
async def test_one_server_builds_at_a_time(database: Database) -> None:
    await fill(database, "large", 600)
    (first, _), (second, known) = builder(database), builder(database)
    assert sorted(await asyncio.gather(first(), second())) == [False, True]
    await known.refresh()
    assert known.usable("large", 1)


@pytest.mark.asyncio
async def test_a_build_whose_server_died_is_left_to_end(database: Database) -> None:
    """Postgres builds on for a client that has gone; the connection holds the claim for as long."""
    await fill(database, "large", 600)
    build, known = builder(database)
    async with database.maintenance() as connection:
        assert await graphs.claim(connection, graphs.index_name("large", 1))
        assert await build() is False
        await graphs.create(connection, "large", 1, DIMENSIONS, 600, 64)
    assert await build() is True
    assert known.usable("large", 1)


async def until_it_builds(rows: Rows) -> None:
    """Until it waits for a transaction that writes."""
    waiting = (
        "select pid from pg_stat_activity where application_name like '%%maintenance' and wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while not rows(waiting):
            await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_a_build_may_take_longer_than_its_lease(database: Database, rows: Rows) -> None:
    await fill(database, "large", 600)
    build, known = builder(database, lease_seconds=2.0)
    async with database.pool.connection() as blocker:
        await blocker.execute("begin; lock table message_embeddings in row exclusive mode")
        building = asyncio.create_task(build())
        await until_it_builds(rows)
        ((first,),) = rows("select expires_at from leases")
        async with asyncio.timeout(10):
            while not rows("select name from leases where expires_at > %s", first + timedelta(seconds=2.5)):
                await asyncio.sleep(0.05)
        assert not building.done()
        assert await builder(database)[0]() is False, "another server leaves it alone"
        await blocker.execute("rollback")
        assert await asyncio.wait_for(building, 30) is True
    await known.refresh()
    assert known.usable("large", 1)


@pytest.mark.asyncio
async def test_a_lost_lease_ends_the_build(database: Database, rows: Rows) -> None:
    await fill(database, "large", 600)
    build, known = builder(database, lease_seconds=1.0)
    async with database.pool.connection() as blocker:
        await blocker.execute("begin; lock table message_embeddings in row exclusive mode")
        building = asyncio.create_task(build())
        await until_it_builds(rows)
        rows("update leases set holder = %s, expires_at = now() + interval '1 hour'", uuid4())
        with pytest.raises(LeaseLost):
            await asyncio.wait_for(building, 10)
        await blocker.execute("rollback")
    await known.refresh()
    assert not known.usable("large", 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("step", ["build", "drop", "words"])
async def test_a_tenant_that_fails_keeps_no_other_from_its_turn(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    for tenant in ("a", "b"):
        await fill(database, tenant, 600)
    build, known = builder(database)
    module, name = {"build": (graphs, "create"), "drop": (graphs, "drop"), "words": (word_index, "build")}[step]
    whole = getattr(module, name)
    tried = 0

    async def fails_for_a(first: Any, second: str, *arguments: Any) -> None:
        nonlocal tried
        if second in ("a", graphs.index_name("a", 1)) and not (step == "drop" and len(rows(GRAPHS)) < 2):
            tried += 1
            raise psycopg.errors.DiskFull("no room for what a said")
        await whole(first, second, *arguments)

    monkeypatch.setattr(module, name, fails_for_a)
    while await build():
        pass
    if step == "drop":
        assert rows(GRAPHS) == [("a",), ("b",)]
        rows("delete from messages")
        while await build():
            pass
        assert rows(GRAPHS) == [("a",)]
    elif step == "build":
        assert [(graph.tenant_id, graph.state) for graph in await known.all()] == [("a", "failed"), ("b", "ready")]
        assert rows("select tenant_id from tenant_word_statistics") == [("b",)], "the words had their turn too"
    else:
        assert rows("select tenant_id from tenant_word_statistics") == [("b",)]
    assert tried == 1, "it rests for a while"
    assert rows("select name from leases") == []


GRAPHS = "select tenant_id from tenant_graphs order by 1"


@pytest.mark.asyncio
async def test_what_fails_on_the_way_out_does_not_hide_why(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(database, "large", 600)
    failed: list[str] = []

    async def fails(*args: Any, **fields: Any) -> None:
        failed.append("on the way out")
        raise StoreUnavailable("on the way out")

    async def cannot(*args: Any, **fields: Any) -> None:
        monkeypatch.setattr(graphs, "set_state", fails)
        monkeypatch.setattr("memory_grpc.store.leases.release", fails)
        raise LeaseLost("the cause")

    monkeypatch.setattr(graphs, "create", cannot)
    with pytest.raises(LeaseLost, match="the cause"):
        await builder(database)[0]()
    assert len(failed) == 2


@pytest.mark.asyncio
async def test_a_tenant_is_served_before_during_and_after(start_server: StartServer) -> None:
    async with start_server(graph_threshold=300, graph_check_seconds=0.2) as server:
        watched = asyncio.create_task(_search_until_cancelled(server.memory))
        requests = [
            pb.IngestMessageRequest(
                tenant_id="acme", conversation_id=f"c{i // 20}", role="user", content=f"number {i} of many {i % 7}"
            )
            for i in range(600)
        ]
        await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=requests))
        async with asyncio.timeout(30):
            while True:
                listed = await server.index.ListGraphs(index_service_pb2.ListGraphsRequest(tenant_id="acme"))
                if listed.graphs and listed.graphs[0].state == "ready":
                    break
                await asyncio.sleep(0.1)
        (graph,) = listed.graphs
        assert (graph.tenant_id, graph.messages) == ("acme", 600)
        assert graph.megabytes > 0
        assert graph.HasField("finished_at")
        assert not (await server.index.ListGraphs(index_service_pb2.ListGraphsRequest(tenant_id="other"))).graphs
        question = pb.SearchMemoriesRequest(tenant_id="acme", query="number 33 of many", explain=True, top_k=5)
        found = await server.memory.SearchMemories(question)
        assert found.total == 5
        assert not found.explanation.exact
        assert 400 <= found.explanation.candidates <= 600
        for hit in found.items:
            assert sum(t.weight * t.value for t in hit.explanation.terms) == pytest.approx(hit.score, abs=1e-6)
        question.ranking = "hybrid"
        async with asyncio.timeout(30):
            while (found := await server.memory.SearchMemories(question)).explanation.exact:
                await asyncio.sleep(0.1)  # until the words are counted
        assert found.explanation.ranking == "hybrid"
        assert found.items[0].content == "number 33 of many 5"
        question.ranking = "semantic"
        question.conversation_id = "c3"
        assert (await server.memory.SearchMemories(question)).explanation.exact
        metrics_port = server.application.metrics_port
        async with httpx.AsyncClient(trust_env=False) as http:
            text = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
        assert 'memory_graphs{state="ready"} 1.0' in text
        assert 'memory_graph_builds_total{outcome="ready"}' in text
        watched.cancel()
        with suppress(asyncio.CancelledError):
            await watched


async def _search_until_cancelled(memory: Any) -> None:
    while True:
        await memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id="acme", query="number 7"))
        await asyncio.sleep(0.01)

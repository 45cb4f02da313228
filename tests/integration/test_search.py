"""Search: the documented ranking, over the whole memory."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from bench import asking
from memory_grpc import scoring
from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.domain.search import SearchFilters
from memory_grpc.filtering import parse
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2
from tests.conftest import RunningServer, StartServer
from tests.plans import explained

Rows = Callable[..., list[tuple[Any, ...]]]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WORDS = ["python", "java", "garden", "music", "travel", "adoption", "painting", "running", "cooking", "bread"]


def message(content: str, created_at: datetime = NOW, **fields: Any) -> pb.IngestMessageRequest:
    request = pb.IngestMessageRequest(
        **({"tenant_id": "acme", "conversation_id": "c1", "role": "user", "content": content} | fields)
    )
    request.created_at.FromDatetime(created_at)
    return request


def query(text: str, as_of: datetime = NOW, **fields: Any) -> pb.SearchMemoriesRequest:
    request = pb.SearchMemoriesRequest(**({"tenant_id": "acme", "query": text} | fields))
    request.as_of.FromDatetime(as_of)
    return request


async def fill(server: RunningServer, messages: list[pb.IngestMessageRequest]) -> list[str]:
    ids = []
    for start in range(0, len(messages), 1000):
        batch = pb.BatchIngestMessagesRequest(messages=messages[start : start + 1000])
        ids += [m.id for m in (await server.memory.BatchIngestMessages(batch)).messages]
    return ids


def random_messages(count: int, seed: int = 7) -> list[pb.IngestMessageRequest]:
    rng = random.Random(seed)
    return [
        message(
            " ".join(rng.choices(WORDS, k=rng.randint(1, 12))),
            NOW - timedelta(seconds=rng.randint(0, 40 * 86400)),
            conversation_id=f"c{rng.randint(1, 4)}",
            role=rng.choice(["user", "assistant", "system"]),
            importance_override=rng.random(),
        )
        for _ in range(count)
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("weights", [ScoreWeights(), ScoreWeights(0.2, 0.5, 0.9)])
async def test_sql_and_python_agree_on_every_score(server: RunningServer, rows: Rows, weights: ScoreWeights) -> None:
    await fill(server, random_messages(300))
    await server.policy.SetTenantPolicy(
        policy_service_pb2.SetTenantPolicyRequest(
            tenant_id="acme",
            score_weights=policy_pb2.ScoreWeights(
                similarity=weights.similarity, importance=weights.importance, decay=weights.decay
            ),
        )
    )
    text = "python bread and travel"
    found = await server.memory.SearchMemories(query(text, top_k=1000))
    assert found.total == 300

    model = await server.application.operations.search._models.of("acme")
    asked = (await model.embedder.embed_query(text)).astype(np.float16).astype(float)
    stored = {
        str(id_): np.array([float(x) for x in vector.strip("[]").split(",")])
        for id_, vector in rows("select message_id, embedding::text from message_embeddings")
    }
    expected = []
    for hit in found.items:
        vector = stored[hit.message_id]
        cosine = float(vector @ asked / np.linalg.norm(vector) / np.linalg.norm(asked))
        decay = scoring.decay((NOW - hit.created_at.ToDatetime(tzinfo=UTC)).total_seconds())
        assert hit.similarity == pytest.approx(cosine, abs=1e-6)
        assert hit.decay == pytest.approx(decay, abs=1e-6)
        assert hit.score == pytest.approx(scoring.score(cosine, hit.importance, decay, weights), abs=1e-6)
        expected.append((hit.score, hit.created_at.ToNanoseconds(), hit.message_id))
    assert expected == sorted(expected, reverse=True)


@pytest.mark.asyncio
async def test_the_oldest_of_a_thousand_is_found_unless_candidates_are_limited(server: RunningServer) -> None:
    messages = [message("we adopted a kitten called Miso", NOW - timedelta(days=20))]
    messages += [message(f"weather report number {i}", NOW - timedelta(minutes=i)) for i in range(999)]
    ids = await fill(server, messages)
    found = await server.memory.SearchMemories(query("which kitten have we adopted"))
    assert ids[0] in [hit.message_id for hit in found.items]
    limited = await server.memory.SearchMemories(query("which kitten have we adopted", candidate_limit=200))
    assert limited.total == 5
    assert ids[0] not in [hit.message_id for hit in limited.items]


@pytest.mark.asyncio
async def test_filters_and_defaults(server: RunningServer) -> None:
    await fill(server, random_messages(200))
    assert (await server.memory.SearchMemories(query("music"))).total == 5
    for hit in (await server.memory.SearchMemories(query("music", conversation_id="c2", top_k=1000))).items:
        assert hit.conversation_id == "c2"
    important = await server.memory.SearchMemories(query("music", importance_min=0.4, top_k=1000))
    assert 0 < important.total < 200
    assert min(hit.importance for hit in important.items) >= 0.4
    nothing = await server.memory.SearchMemories(query("music", conversation_id="no such conversation"))
    assert (nothing.total, list(nothing.items)) == (0, [])
    assert (await server.memory.SearchMemories(query("music", tenant_id="other"))).total == 0


@pytest.mark.asyncio
async def test_as_of_hides_what_came_later_and_repeats_to_the_byte_after_a_restart(start_server: StartServer) -> None:
    request = query("music and bread", NOW - timedelta(days=10), top_k=50)
    async with start_server() as server:
        await fill(server, random_messages(300))
        before = await server.memory.SearchMemories(request)
        limit = request.as_of.ToNanoseconds()
        assert all(hit.created_at.ToNanoseconds() <= limit for hit in before.items)
        await fill(server, [message("music and bread", NOW)])
    async with start_server() as server:
        again = await server.memory.SearchMemories(request)
    assert again.SerializeToString(deterministic=True) == before.SerializeToString(deterministic=True)


@pytest.mark.asyncio
async def test_equal_scores_are_ordered_by_time_then_id(server: RunningServer) -> None:
    await fill(server, [message("the same words", NOW - timedelta(days=8 + i % 3)) for i in range(9)])
    zero_decay = policy_service_pb2.SetTenantPolicyRequest(
        tenant_id="acme", score_weights=policy_pb2.ScoreWeights(decay=0)
    )
    await server.policy.SetTenantPolicy(zero_decay)
    hits = (await server.memory.SearchMemories(query("the same words", top_k=9))).items
    assert len({hit.score for hit in hits}) == 1
    keys = [(hit.created_at.ToNanoseconds(), hit.message_id) for hit in hits]
    assert keys == sorted(keys, reverse=True)


@pytest.mark.asyncio
async def test_a_fact_at_the_end_of_a_very_long_message_is_found(server: RunningServer, rows: Rows) -> None:
    filler = "nothing of note happened on that day at all "
    fact = "the spare key lies under the third flowerpot"
    long = (filler * 2300)[: 100_000 - len(fact)] + fact
    ids = await fill(server, [message(long), *(message(f"other talk {i}") for i in range(20))])
    assert rows("select max(chunk) from message_embeddings")[0][0] > 10
    found = await server.memory.SearchMemories(query("where is the spare key flowerpot", top_k=3))
    assert found.items[0].message_id == ids[0]
    assert len({hit.message_id for hit in found.items}) == 3, "a message of many windows is one hit"


@pytest.mark.asyncio
async def test_long_messages_never_crowd_out_other_hits(server: RunningServer) -> None:
    long = "python " * 12_000
    await fill(server, [message(long) for _ in range(3)] + [message("bread") for _ in range(4)])
    found = await server.memory.SearchMemories(query("python", top_k=7))
    assert found.total == 7


@pytest.mark.asyncio
@pytest.mark.parametrize("wanted", ["", 'conversation_id = "c1"', 'role = "user" AND metadata.kind = "long"'])
async def test_messages_of_many_windows_are_scored_as_by_all_their_windows(server: RunningServer, wanted: str) -> None:
    long = [message(f"number {n} " + "python and bread " * 800, NOW - timedelta(days=n)) for n in range(5)]
    for one in long:
        one.metadata.update({"kind": "long"})
    await fill(server, [*random_messages(40), *long])
    only = SearchFilters(where=parse(wanted) if wanted else None, as_of=NOW)
    async with server.database.transaction(tenant="acme") as tx:
        request = await asking.request(tx, "acme", "python bread", np.ones(384, np.float32), NOW, only=only)
        params, parts = request.params | {"top_k": 1000}, request.filter.parts
        one_pass = await tx.all("search.scan_messages", params, parts=parts)
        whole = await tx.all("search.scan", params | {"scan_limit": 1000, "newest": 0}, parts=parts)
    assert whole and whole[0].pop("windows") > len(whole), "some have many windows"
    columns = ("message_id", "created_at", "score", "similarity", "importance", "decay")
    assert [[row[c] for c in columns] for row in one_pass] == [[row[c] for c in columns] for row in whole]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "wanted", ["", 'conversation_id = "c1"', 'NOT user_id = "u" AND role = "user"', "archived = true"]
)
@pytest.mark.parametrize("generic", [False, True])
async def test_the_exact_scan_is_index_only(server: RunningServer, rows: Rows, wanted: str, generic: bool) -> None:
    await fill(server, random_messages(1000))
    columns = "conversation_id, role, name, content, metadata, importance, embedding_status, created_at, updated_at"
    rows(
        f"with copies as (insert into messages (tenant_id, id, {columns}) "
        f"select 'other ' || n, gen_random_uuid(), {columns} from messages, generate_series(1, 20) n returning *) "
        "insert into message_embeddings (tenant_id, message_id, created_at, importance, conversation_key, user_key, "
        "expires_at, chunk, model_id, archived, role, embedding) select tenant_id, id, created_at, importance, "
        "text_key(conversation_id), 0, 'infinity', 0, 1, false, 'u', "
        "(select embedding from message_embeddings limit 1) from copies"
    )
    rows("vacuum analyze message_embeddings")
    only = SearchFilters(where=parse(wanted) if wanted else None, as_of=NOW)
    async with server.database.transaction(tenant="acme") as tx:
        request = await asking.request(tx, "acme", "music", np.ones(384, np.float32), NOW, only=only)
        params = request.params | {"scan_limit": 21, "newest": 420}
        plan = await explained(tx, "search.scan", params, request.filter.parts, generic=generic)
    # The tenant is read in the index only, after a look at the newest.
    assert plan.count("Index Only Scan using message_embeddings_scan") == 1
    assert plan.count("Index Only Scan Backward using message_embeddings_scan") == 1
    assert "Seq Scan" not in plan


@pytest.mark.asyncio
@pytest.mark.parametrize("ranking", ["semantic", "hybrid"])
@pytest.mark.parametrize("only", [{"conversation_id": "c2"}, {"candidate_limit": 20}])
async def test_what_a_filter_leaves_is_looked_up_by_a_plan_for_its_values(
    start_server: StartServer, only: dict[str, Any], ranking: str
) -> None:
    """A plan that is kept for any tenant would read one that is far above the average whole."""
    async with start_server(database_pool_max_size=1) as server:
        await fill(server, random_messages(100))
        for _ in range(12):
            await server.memory.SearchMemories(query("music", ranking=ranking, **only))
        async with server.database.pool.connection() as connection:
            cursor = await connection.execute(
                "select statement, generic_plans from pg_prepared_statements where custom_plans + generic_plans > 5 "
                "and statement ~ 'm.embedding_status'"
            )
            found = await cursor.fetchall()
    assert found
    assert [row["statement"] for row in found if row["generic_plans"]] == []


@pytest.mark.asyncio
@pytest.mark.parametrize("top_k", [1, 7, 300, 1000])
async def test_a_filter_that_lets_everything_pass_changes_no_byte(server: RunningServer, top_k: int) -> None:
    await fill(server, random_messages(1000))
    for text in ("music", "python bread", "nothing of that"):
        plain = await server.memory.SearchMemories(query(text, top_k=top_k))
        filtered = await server.memory.SearchMemories(query(text, top_k=top_k, importance_min=0))
        assert plain == filtered
        assert len(plain.items) == top_k


@pytest.mark.asyncio
async def test_every_filter_keeps_to_what_it_says_and_leaves_no_hit_out(server: RunningServer) -> None:
    rng = random.Random(3)
    requests = random_messages(300)
    for request in requests:
        request.metadata.update(
            {"source": rng.choice(["web", "app"]), "n": rng.randint(1, 3), "deep": {"a": 1, "b": 2}}
        )
    await fill(server, requests)
    everything = (await server.memory.SearchMemories(query("music", top_k=1000))).items

    def times(hit: pb.MemoryHit) -> int:
        return hit.created_at.ToNanoseconds()

    after, before = NOW - timedelta(days=20), NOW - timedelta(days=5)
    by_time = query("music", top_k=1000)
    by_time.created_after.FromDatetime(after)
    by_time.created_before.FromDatetime(before)
    low, high = by_time.created_after.ToNanoseconds(), by_time.created_before.ToNanoseconds()
    by_object = query("music", top_k=1000)
    by_object.metadata.update({"source": "web", "deep": {"b": 2}})
    cases = [
        (query("music", top_k=1000, role="system"), lambda hit: hit.role == "system"),
        (by_time, lambda hit: low <= times(hit) < high),
        (by_object, lambda hit: hit.metadata["source"] == "web"),
        (
            query("music", top_k=1000, metadata_equals=["source=app", "n=2"]),
            lambda hit: hit.metadata["source"] == "app" and hit.metadata["n"] == 2,
        ),
        (
            query("music", top_k=1000, metadata_equals=["n=2", "source=app", "n=3", "n=no such"]),
            lambda hit: hit.metadata["source"] == "app" and hit.metadata["n"] in (2, 3),
        ),
        (query("music", top_k=7, role="user", conversation_id="c1"), None),
    ]
    for request, passes in cases:
        found = (await server.memory.SearchMemories(request)).items
        if passes is None:
            assert len(found) == 7
        else:
            wanted = [hit.message_id for hit in everything if passes(hit)]
            assert 0 < len(wanted) < 300
            assert [hit.message_id for hit in found] == wanted


@pytest.mark.asyncio
async def test_archived_messages_are_ranked_only_when_asked_for(server: RunningServer) -> None:
    await fill(server, random_messages(100))
    await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
    request = query("music", top_k=1000)
    assert (await server.memory.SearchMemories(request)).total == 100, "they were not archived then"
    request.ClearField("as_of")
    live = await server.memory.SearchMemories(request)
    request.include_archived = True
    both = await server.memory.SearchMemories(request)
    assert live.total < 100
    assert both.total == 100
    assert sum(hit.HasField("archived_at") for hit in both.items) == 100 - live.total


@pytest.mark.asyncio
async def test_explain_gives_terms_that_add_up_to_the_score(server: RunningServer) -> None:
    await fill(server, random_messages(50))
    found = await server.memory.SearchMemories(query("music", top_k=50, explain=True))
    for hit in found.items:
        assert sum(term.weight * term.value for term in hit.explanation.terms) == pytest.approx(hit.score, abs=1e-6)
    assert (found.explanation.ranking, found.explanation.exact, found.explanation.candidates) == ("semantic", True, 50)
    assert found.explanation.as_of.ToDatetime(tzinfo=UTC) == NOW
    plain = await server.memory.SearchMemories(query("music", top_k=50))
    assert not plain.HasField("explanation")
    assert not any(hit.HasField("explanation") for hit in plain.items)


@pytest.mark.asyncio
async def test_neighbours_are_the_turns_around_a_hit_in_order(server: RunningServer) -> None:
    turns = [
        pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content=f"turn {i}")
        for i in range(9)
    ]
    turns[4].content = "the needle"
    other = [pb.IngestMessageRequest(tenant_id="acme", conversation_id="d", role="user", content="elsewhere")]
    await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=turns + other))
    request = pb.SearchMemoriesRequest(tenant_id="acme", query="the needle", top_k=1, neighbours=2)
    (hit,) = (await server.memory.SearchMemories(request)).items
    assert hit.content == "the needle"
    assert [turn.content for turn in hit.neighbours.before] == ["turn 2", "turn 3"]
    assert [turn.content for turn in hit.neighbours.after] == ["turn 5", "turn 6"]

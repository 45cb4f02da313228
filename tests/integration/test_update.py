"""Updates: what a message says changes whole, what it said is kept, and nothing old lands on what is new."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest
import pytest_asyncio

from memory_grpc.embedding import Embedder
from memory_grpc.errors import EmbeddingUnavailable
from memory_grpc.jobs import start
from memory_grpc.operations.models.reembed_messages import ReembedMessages, nobody_counts
from memory_grpc.store import page_bytes
from memory_grpc.store.guard import no_guard
from memory_layer.v1 import context_pb2, revision_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.message_pb2 import Message
from tests.cli import Cli
from tests.conftest import RunningRest, RunningServer, StartServer
from tests.integration.test_expiry import code, old
from tests.integration.test_ingest import message
from tests.integration.test_pending import worker
from tests.integration.test_retention import run
from tests.projections import ADRIFT

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest_asyncio.fixture
async def still(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningServer]:
    """A server whose own workers are not started."""
    monkeypatch.setattr(start, "_PENDING_WORKERS", 0)
    async with start_server() as started:
        yield started


def update(message_id: str, **fields: Any) -> revision_pb2.UpdateMessageRequest:
    return revision_pb2.UpdateMessageRequest(**({"message_id": message_id, "tenant_id": "acme"} | fields))


async def revisions(server: RunningServer, message_id: str, **fields: Any) -> list[revision_pb2.Revision]:
    request = revision_pb2.ListRevisionsRequest(message_id=message_id, tenant_id="acme", **fields)
    return list((await server.memory.ListRevisions(request)).revisions)


async def got(server: RunningServer, message_id: str) -> Message:
    found: Message = await server.memory.GetMessage(pb.GetMessageRequest(message_id=message_id))
    return found


async def found(server: RunningServer, query: str, as_of: datetime | None = None, **fields: Any) -> list[pb.MemoryHit]:
    request = pb.SearchMemoriesRequest(**({"tenant_id": "acme", "query": query, "top_k": 100} | fields))
    if as_of is not None:
        request.as_of.FromDatetime(as_of)
    return list((await server.memory.SearchMemories(request)).items)


async def test_a_message_says_something_else_and_its_revision_what_it_said(server: RunningServer, rows: Rows) -> None:
    stored = await server.memory.IngestMessage(message("I live in Vienna", metadata={"a": 1}, name="Ann"))
    changed = await server.memory.UpdateMessage(update(stored.id, content="I live in Graz", metadata={"b": 2}))

    assert (changed.content, dict(changed.metadata), changed.name) == ("I live in Graz", {"b": 2}, "Ann")
    assert (changed.created_at, changed.embedding_status) == (stored.created_at, "completed")
    assert changed.updated_at.ToDatetime() > stored.updated_at.ToDatetime()
    assert changed.etag != stored.etag
    assert await got(server, stored.id) == changed
    (revision,) = await revisions(server, stored.id)
    assert revision.message == stored
    assert revision.valid_from.ToDatetime() == stored.created_at.ToDatetime()
    assert revision.valid_to == changed.updated_at
    assert rows(ADRIFT) == [(0,)]


@pytest.mark.parametrize("ranking", ["semantic", "hybrid"])
async def test_a_search_as_of_before_finds_and_shows_what_was_then_said(
    server: RunningServer, rows: Rows, ranking: str
) -> None:
    first = await server.memory.IngestMessage(message("hello there"))
    stored = await server.memory.IngestMessage(
        message("the blue bicycle", user_id="u-1", metadata={"kind": "bike"}, importance_override=1)
    )
    await server.memory.IngestMessage(message("good bye"))
    ask = {"ranking": ranking, "neighbours": 1, "top_k": 3}
    then = datetime.now(UTC)
    before = await found(server, "blue bicycle", then, **ask)
    assert before[0].message_id == stored.id
    for content in ("the green tractor", "a red balloon"):
        fields = {"content": content, "user_id": "u-2", "metadata": {"kind": "other"}, "importance_override": 0.0}
        changed = await server.memory.UpdateMessage(update(stored.id, **fields))

    assert await found(server, "blue bicycle", then, **ask) == before, "to the byte"
    middle = (await revisions(server, stored.id))[0].valid_from.ToDatetime(tzinfo=UTC) + timedelta(microseconds=1)
    for moment, content, user in (
        (then, "the blue bicycle", "u-1"),
        (middle, "the green tractor", "u-2"),
        (None, "a red balloon", "u-2"),
        (changed.updated_at.ToDatetime(tzinfo=UTC), "a red balloon", "u-2"),
    ):
        (hit,) = [hit for hit in await found(server, content, moment, **ask) if hit.message_id == stored.id]
        assert (hit.content, hit.user_id) == (content, user)
        best = await found(server, content, moment, ranking=ranking)
        assert best[0].content == content
        kind = "bike" if user == "u-1" else "other"
        for filter_ in (f'user_id = "{user}"', f'metadata.kind = "{kind}"', f'user_id = "{user}" AND NOT name = "x"'):
            hits = await found(server, content, moment, ranking=ranking, filter=filter_)
            assert [one.content for one in hits] == [content], filter_
        around = [hit for hit in await found(server, "hello there", moment, **ask) if hit.message_id == first.id]
        assert [turn.content for turn in around[0].neighbours.after] == [content]
    assert rows(ADRIFT) == [(0,)]


@pytest.mark.parametrize("ranking", ["semantic", "hybrid"])
async def test_the_past_is_shown_and_filtered_by_what_each_field_was(server: RunningServer, ranking: str) -> None:
    fields = {"metadata": {"n": "old"}, "name": "Ann", "user_id": "u-old"}
    ids = [
        (await server.memory.IngestMessage(message(text, **fields))).id for text in ("we bake bread", "rain all day")
    ]
    then = datetime.now(UTC)
    for id_ in ids:
        change = update(id_, metadata={"n": "new"}, name="Bea", user_id="u-new", pinned=True)
        await server.memory.UpdateMessage(change)
    ask = {"ranking": ranking, "neighbours": 1}
    hits = await found(server, "bread", then, **ask)
    assert {(hit.message_id, hit.name, hit.metadata["n"], hit.user_id) for hit in hits} == {
        (id_, "Ann", "old", "u-old") for id_ in ids
    }
    around = [turn for hit in hits for turn in (*hit.neighbours.before, *hit.neighbours.after)]
    assert [turn.name for turn in around] == ["Ann", "Ann"]
    for filter_ in ('metadata.n = "old"', 'name = "Ann"', 'user_id = "u-old"', "pinned = false"):
        assert len(await found(server, "bread", then, filter=filter_, **ask)) == 2, filter_
        assert await found(server, "bread", filter=filter_, **ask) == [], filter_
    wanted = context_pb2.BuildContextRequest(
        tenant_id="acme", query="bread", user_id="u-old", neighbours=1, ranking=ranking
    )
    wanted.as_of.FromDatetime(then)
    built = (await server.memory.BuildContext(wanted)).messages
    assert [(one.message.name, one.message.metadata["n"], one.message.pinned) for one in built] == [
        ("Ann", "old", False)
    ] * 2


async def test_a_tenant_is_looked_back_at_alone(server: RunningServer) -> None:
    ours = await server.memory.IngestMessage(message("our secret"))
    theirs = await server.memory.IngestMessage(message("their secret", tenant_id="rival"))
    then = datetime.now(UTC)
    await server.memory.UpdateMessage(update(ours.id, content="nothing"))
    await server.memory.UpdateMessage(update(theirs.id, content="nothing", tenant_id="rival"))
    for ranking in ("semantic", "hybrid"):
        assert [hit.content for hit in await found(server, "secret", then, ranking=ranking)] == ["our secret"]


async def test_every_field_can_be_changed_and_cleared(server: RunningServer, rows: Rows) -> None:
    stored = await server.memory.IngestMessage(message(importance_override=0.5))
    request = update(stored.id, name="Bo", user_id="u-1", pinned=True, importance_override=1.0, metadata={"n": 3})
    request.expires_at.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    full = await server.memory.UpdateMessage(request)
    assert (full.name, full.user_id, full.pinned, full.metadata["n"]) == ("Bo", "u-1", True, 3)
    assert full.expires_at == request.expires_at
    assert full.importance_score == pytest.approx(stored.importance_score + 0.4 * 0.5, abs=1e-4)
    assert rows(ADRIFT) == [(0,)]
    mask = ["name", "user_id", "pinned", "importance_override", "metadata", "expires_at"]
    bare = await server.memory.UpdateMessage(update(stored.id, update_mask=mask))
    assert not any(bare.HasField(name) for name in ("name", "user_id", "pinned", "expires_at"))
    assert not bare.metadata
    assert bare.importance_score == pytest.approx(stored.importance_score - 0.4 * 0.5, abs=1e-4)
    assert bare.content == stored.content
    assert rows(ADRIFT) == [(0,)]
    assert [r.message for r in await revisions(server, stored.id)] == [full, stored]


async def test_what_changes_nothing_makes_no_revision(server: RunningServer) -> None:
    stored = await server.memory.IngestMessage(message(name="Ann"))
    assert await server.memory.UpdateMessage(update(stored.id, content=stored.content, name="Ann")) == stored
    assert await server.memory.UpdateMessage(update(stored.id, update_mask=["user_id"])) == stored
    assert await server.memory.UpdateMessage(update(stored.id)) == stored
    assert await revisions(server, stored.id) == []


async def test_an_update_of_what_another_has_changed_is_refused(rest: RunningRest) -> None:
    server = rest.server
    stored = await server.memory.IngestMessage(message())
    first = await server.memory.UpdateMessage(update(stored.id, content="first", etag=stored.etag))
    assert (await code(server.memory.UpdateMessage(update(stored.id, content="second", etag=stored.etag))))[0] is (
        grpc.StatusCode.ABORTED
    )
    assert await got(server, stored.id) == first
    path = f"/v1/messages/{stored.id}"
    body = {"tenant_id": "acme", "content": "second", "etag": stored.etag}
    refused = await rest.http.patch(path, json=body)
    assert (refused.status_code, refused.json()["details"][0]["reason"]) == (409, "ETAG_MISMATCH")
    done = await rest.http.patch(path, json=body | {"etag": first.etag, "update_mask": ["content"]})
    assert (done.status_code, done.json()["content"]) == (200, "second")
    listed = (await rest.http.get(f"{path}/revisions?tenant_id=acme&page_size=1")).json()
    assert [one["message"]["content"] for one in listed["revisions"]] == ["first"]
    listed = (
        await rest.http.get(f"{path}/revisions?tenant_id=acme&page_size=1&page_token={listed['next_page_token']}")
    ).json()
    assert [one["message"]["content"] for one in listed["revisions"]] == [stored.content]
    assert listed["next_page_token"] == ""


async def test_a_page_of_long_revisions_ends_before_its_size(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_bytes, "PAGE_BYTES", 250)
    monkeypatch.setattr(page_bytes, "BEYOND_BYTES", 200)
    stored = await server.memory.IngestMessage(message("0" * 100))
    for number in range(1, 6):
        await server.memory.UpdateMessage(update(stored.id, content=str(number) * 100))
    sizes, token = [], ""
    while True:
        request = revision_pb2.ListRevisionsRequest(message_id=stored.id, tenant_id="acme", page_token=token)
        page = await server.memory.ListRevisions(request)
        sizes.append([one.message.content[0] for one in page.revisions])
        token = page.next_page_token
        if not token:
            break
    assert sizes == [["4", "3", "2"], ["1", "0"]]


async def test_what_cannot_be_changed_is_named(server: RunningServer) -> None:
    stored = await server.memory.IngestMessage(message())
    past = update(stored.id)
    past.expires_at.FromDatetime(datetime.now(UTC) - timedelta(seconds=1))
    for request, field in (
        (update(stored.id, update_mask=["role"]), "update_mask[0]"),
        (update(stored.id, update_mask=["name", "name"]), "update_mask"),
        (update(stored.id, update_mask=["content"]), "content"),
        (update(stored.id, update_mask=["name"], pinned=True), "pinned"),
        (update(stored.id, content=""), "content"),
        (past, "expires_at"),
    ):
        status, text = await code(server.memory.UpdateMessage(request))
        assert (status, text.startswith(f"{field}:")) == (grpc.StatusCode.INVALID_ARGUMENT, True), text
    for request in (update(str(uuid4()), pinned=True), update(stored.id, pinned=True, tenant_id="rival")):
        assert (await code(server.memory.UpdateMessage(request)))[0] is grpc.StatusCode.NOT_FOUND
    nobody = revision_pb2.ListRevisionsRequest(message_id=stored.id, tenant_id="rival")
    assert (await code(server.memory.ListRevisions(nobody)))[0] is grpc.StatusCode.NOT_FOUND
    assert await got(server, stored.id) == stored


async def test_a_retry_changes_nothing_twice(server: RunningServer, rows: Rows) -> None:
    ingest = message("one", request_id=str(uuid4()))
    stored = await server.memory.IngestMessage(ingest)
    request = update(stored.id, content="two", etag=stored.etag, request_id=str(uuid4()))
    two = await server.memory.UpdateMessage(request)
    assert await server.memory.UpdateMessage(request) == two
    three = await server.memory.UpdateMessage(update(stored.id, content="three"))
    assert await server.memory.UpdateMessage(request) == three, "it was made, and is not made again"
    for request_id, content in ((request.request_id, "four"), (ingest.request_id, "one")):
        status, _ = await code(server.memory.UpdateMessage(update(stored.id, content=content, request_id=request_id)))
        assert status is grpc.StatusCode.ALREADY_EXISTS
    assert (await code(server.memory.IngestMessage(message("x", request_id=request.request_id))))[0] is (
        grpc.StatusCode.ALREADY_EXISTS
    )
    assert len(await revisions(server, stored.id)) == 2


async def test_an_archived_message_is_updated_where_it_is(server: RunningServer, rows: Rows) -> None:
    stored = await server.memory.IngestMessage(old("an old story"))
    await server.admin.RunRetention(run())
    changed = await server.memory.UpdateMessage(update(stored.id, content="a new story", name="Ann"))
    assert changed.HasField("archived_at")
    assert rows(ADRIFT) == [(0,)]
    assert await found(server, "story", ranking="hybrid") == []
    for ranking in ("semantic", "hybrid"):
        hits = await found(server, "story", ranking=ranking, include_archived=True)
        assert [hit.content for hit in hits] == ["a new story"]


async def test_new_content_waits_while_the_model_is_away(
    still: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = await still.memory.IngestMessage(message("before"))

    async def away(self: Embedder, texts: Sequence[str], **fields: Any) -> Any:
        raise EmbeddingUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(Embedder, "embed_messages", away)
        waiting = await still.memory.UpdateMessage(update(stored.id, content="after"))
    assert waiting.embedding_status == "pending"
    assert rows("select count(*) from message_embeddings") == [(0,)]
    renamed = await still.memory.UpdateMessage(update(stored.id, name="Ann"))
    assert renamed.embedding_status == "pending"
    assert await worker(still)() == 1
    assert (await got(still, stored.id)).embedding_status == "completed"
    assert [hit.content for hit in await found(still, "after")] == ["after"]
    later = await still.memory.UpdateMessage(update(stored.id, content="and later", embed_later=True))
    assert later.embedding_status == "pending"


async def test_a_vector_of_old_content_never_lands_on_new(
    still: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An update comes while a worker, and while a re-embedding, has what the message said in the model."""
    embed = Embedder.embed_messages
    models = still.application.operations.reembeddings._models
    rows(
        "insert into embedding_models (name, revision, precision, dimensions, active) "
        "values ('next', 'r', 'p', %s, false)",
        models.held(models.current).embedder.identity.dimensions,
    )
    ((next_id,),) = rows("select id from embedding_models where name = 'next'")
    model = type(models.held(models.current))(next_id, models.held(models.current).embedder)

    async def reembed() -> None:
        await ReembedMessages(still.database).tenant("acme", model, no_guard, nobody_counts)

    async def work() -> None:
        await worker(still)()

    for later, background in ((True, work), (False, reembed)):
        stored = await still.memory.IngestMessage(message("old content", embed_later=later))
        seen: list[str] = []

        async def overtaken(
            self: Embedder, texts: Sequence[str], id_: str = stored.id, seen: Any = seen, **fields: Any
        ) -> Any:
            vectors = await embed(self, texts, **fields)
            if "old content" in texts and not seen:
                seen.append(id_)
                await still.memory.UpdateMessage(update(id_, content="new content"))
            return vectors

        with monkeypatch.context() as patch:
            patch.setattr(Embedder, "embed_messages", overtaken)
            await background()
        assert seen
        assert (await got(still, stored.id)).embedding_status == "completed"
        (vector,) = rows("select distinct embedding::text from message_embeddings where message_id = %s", stored.id)
        (fresh,) = await embed(model.embedder, ["new content"])
        kept = [float(number) for number in vector[0].strip("[]").split(",")]
        assert kept == pytest.approx(fresh[0].tolist(), abs=1e-3)


async def test_updates_at_the_same_time_are_made_one_after_the_other(server: RunningServer, rows: Rows) -> None:
    stored = await server.memory.IngestMessage(message("start"))
    calls = [server.memory.UpdateMessage(update(stored.id, content=f"number {n}")) for n in range(8)]
    await asyncio.gather(*calls)
    kept = await revisions(server, stored.id)
    assert len(kept) == 8
    now = await got(server, stored.id)
    assert {r.message.content for r in kept} | {now.content} == {"start", *(f"number {n}" for n in range(8))}
    for newer, older in itertools.pairwise(kept):
        assert older.valid_to == newer.valid_from
        assert older.valid_from.ToNanoseconds() < older.valid_to.ToNanoseconds()
    guarded = [server.memory.UpdateMessage(update(stored.id, content=f"one {n}", etag=now.etag)) for n in range(4)]
    results = await asyncio.gather(*guarded, return_exceptions=True)
    refused = [r for r in results if isinstance(r, grpc.aio.AioRpcError)]
    assert [r.code() for r in refused] == [grpc.StatusCode.ABORTED] * 3
    assert rows(ADRIFT) == [(0,)]
    assert rows("select count(*) from message_embeddings") == [(1,)]


async def test_updates_against_archiving_leave_nothing_behind(server: RunningServer, rows: Rows) -> None:
    ids = [(await server.memory.IngestMessage(old(f"turn {n}", embed_later=n % 2 == 0))).id for n in range(10)]
    policy_runs = [server.admin.RunRetention(run(("archive",))) for _ in range(3)]
    updates = [server.memory.UpdateMessage(update(id_, content=f"new {n}", name="Ann")) for n, id_ in enumerate(ids)]
    await asyncio.gather(*policy_runs, *updates)
    await server.admin.RunRetention(run(("archive",)))
    assert rows(ADRIFT) == [(0,)]
    assert rows("select count(*) from messages where archived_at is null") == [(0,)]
    assert rows("select count(*) from messages where content like 'new %%'") == [(10,)]


async def test_revisions_go_with_their_message(server: RunningServer, rows: Rows) -> None:
    stored = await server.memory.IngestMessage(message("one"))
    await server.memory.UpdateMessage(update(stored.id, content="two"))
    tables = ("message_revisions", "revision_embeddings", "revision_lexemes")
    assert [rows(f"select count(*) from {table}") for table in tables] == [[(1,)]] * 3
    rows("delete from messages where id = %s", UUID(stored.id))
    assert [rows(f"select count(*) from {table}") for table in tables] == [[(0,)]] * 3


async def test_a_context_of_the_past_holds_what_was_then_said(server: RunningServer) -> None:
    stored = await server.memory.IngestMessage(message("I live in Vienna", user_id="u-1", pinned=True))
    then = datetime.now(UTC)
    await server.memory.UpdateMessage(update(stored.id, content="I live in Graz"))
    for moment, city in ((then, "Vienna"), (None, "Graz")):
        request = context_pb2.BuildContextRequest(tenant_id="acme", query="where do I live", user_id="u-1")
        if moment is not None:
            request.as_of.FromDatetime(moment)
        built = await server.memory.BuildContext(request)
        assert city in built.text
        assert built.text.count("I live in") == 1


async def test_the_command_line_shows_and_changes_a_message(server: RunningServer, cli: Cli) -> None:
    stored = await server.memory.IngestMessage(message("one", name="Ann"))
    of = (stored.id, "--address", server.grpc_address)
    done = await cli("update", *of, "--tenant", "acme", "--content", "two", "--clear", "name", "--pin", "--json")
    assert done.code == 0, done.err
    changed = json.loads(done.out)
    assert (changed["content"], changed["pinned"], "name" in changed) == ("two", True, False)
    stale = await cli("update", *of, "--tenant", "acme", "--content", "three", "--etag", stored.etag)
    assert (stale.code, "ABORTED" in stale.err) == (1, True)
    assert "two" in (await cli("get", *of)).out
    told = json.loads((await cli("revisions", *of, "--tenant", "acme", "--json")).out)
    assert [one["message"]["content"] for one in told["revisions"]] == ["one"]
    assert "one" in (await cli("revisions", *of, "--tenant", "acme")).out
    for wrong in ((), ("--clear", "role"), ("--name", "x", "--clear", "name"), ("--metadata", "[]")):
        assert (await cli("update", *of, "--tenant", "acme", *wrong)).code == 2, wrong

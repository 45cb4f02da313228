"""BuildContext: what goes into a prompt's budget, and what never does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio

from memory_grpc.embedding import Embedder
from memory_grpc.errors import EmbeddingUnavailable
from memory_layer.v1 import context_pb2, revision_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningRest, RunningServer, StartRest
from tests.integration.test_ingest import message

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]
MONDAY = datetime(2026, 11, 9, 9, tzinfo=UTC)


def said(minute: int, content: str, **fields: Any) -> pb.IngestMessageRequest:
    request = message(content, **fields)
    request.created_at.FromDatetime(MONDAY + timedelta(minutes=minute))
    return request


async def store(server: RunningServer, *messages: pb.IngestMessageRequest) -> list[str]:
    stored = await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=messages))
    return [one.id for one in stored.messages]


async def built(server: RunningServer, query: str = "what bread", **fields: Any) -> context_pb2.BuildContextResponse:
    request = context_pb2.BuildContextRequest(**({"tenant_id": "acme", "query": query} | fields))
    found: context_pb2.BuildContextResponse = await server.memory.BuildContext(request)
    return found


def contents(found: context_pb2.BuildContextResponse) -> list[str]:
    return [part.message.content for part in found.messages]


def reasons(found: context_pb2.BuildContextResponse) -> dict[str, str]:
    return {part.message.content: part.reason for part in found.messages}


async def test_an_empty_memory_gives_an_empty_context(server: RunningServer) -> None:
    found = await built(server)
    assert (found.total_tokens, found.text, list(found.messages)) == (0, "", [])
    assert found.tokenizer == "4 bytes a token"


async def test_messages_stand_in_the_order_they_were_said_with_their_reasons(server: RunningServer, rows: Rows) -> None:
    ids = await store(
        server,
        said(0, "I bake rye bread", conversation_id="old", name="Caroline"),
        said(1, "and it rains", conversation_id="old"),
        said(2, "call me Caro", conversation_id="older"),
        said(3, "good morning", conversation_id="now"),
        said(4, "how are you", conversation_id="now", role="assistant"),
    )
    rows("update messages set pinned = true where id = %s", ids[2])
    found = await built(server, conversation_id="now", recent_turns=2, min_score=0.2)
    assert reasons(found) == {
        "I bake rye bread": "relevant",
        "call me Caro": "pinned",
        "good morning": "recent",
        "how are you": "recent",
    }
    assert found.text.splitlines() == [
        "[2026-11-09 09:00] Caroline: I bake rye bread",
        "[2026-11-09 09:02] user: call me Caro",
        "[2026-11-09 09:03] user: good morning",
        "[2026-11-09 09:04] assistant: how are you",
    ]
    assert found.left_out.low_score == 1
    assert found.messages[0].score > 0.2
    assert found.total_tokens <= sum(part.tokens for part in found.messages) <= 1000


@pytest.mark.parametrize("ranking", ["semantic", "hybrid"])
async def test_the_budget_holds_whatever_it_is(server: RunningServer, ranking: str) -> None:
    await store(server, *(said(n, f"bread number {n} " + "crumb " * (n * 7 % 50)) for n in range(60)))
    last = 0
    for budget in (1, 5, 20, 100, 500, 32000):
        found = await built(server, max_tokens=budget, ranking=ranking, conversation_id="conv-1", neighbours=1)
        assert found.total_tokens <= budget
        assert found.total_tokens == -(-len(found.text.encode()) // 4)
        assert len(found.messages) >= last
        last = len(found.messages)
        texts = contents(found)
        assert len(set(texts)) == len(texts)
    assert last == 60
    found = await built(server, max_tokens=1)
    assert found.left_out.too_long > 10 and len(found.left_out.best) == 10


async def test_a_text_too_long_for_the_budget_is_named_and_not_read(server: RunningServer) -> None:
    (long, _) = await store(server, said(0, "bread " * 16_000), said(1, "white bread"))
    found = await built(server, max_tokens=100)
    assert contents(found) == ["white bread"]
    (missed,) = found.left_out.best
    assert (missed.message_id, missed.reason, missed.HasField("tokens")) == (long, "relevant", False)
    assert len(contents(await built(server, max_tokens=32_000))) == 2


async def test_equal_texts_come_once_and_the_question_never(server: RunningServer) -> None:
    await store(
        server,
        said(0, "I like bread"),
        said(1, "I like bread", conversation_id="another"),
        said(2, "what bread"),
        said(3, " what bread\n"),
    )
    found = await built(server, conversation_id="conv-1")
    assert contents(found) == ["I like bread"]
    assert found.left_out.repeated_text == 3


async def test_users_of_one_conversation_never_mix(server: RunningServer) -> None:
    turns = [said(n, f"bread of {user} {n}", user_id=user) for n in range(10) for user in ("u-1", "u-2")]
    await store(server, *turns)
    found = await built(server, user_id="u-1", conversation_id="conv-1", neighbours=3, max_tokens=5000)
    assert {part.message.user_id for part in found.messages} == {"u-1"}
    assert len(found.messages) == 10
    assert "u-2" not in found.text
    nobody = await built(server, user_id="u-3", conversation_id="conv-1", neighbours=3)
    assert nobody.text == ""


async def test_tenants_never_mix(server: RunningServer, rows: Rows) -> None:
    await store(server, said(0, "our bread"), said(1, "our pin"))
    await store(server, said(0, "their bread", tenant_id="globex"), said(1, "their pin", tenant_id="globex"))
    rows("update messages set pinned = true")
    assert sorted(contents(await built(server, conversation_id="conv-1"))) == ["our bread", "our pin"]


async def test_the_newest_of_a_user_are_recent_where_no_conversation_goes_on(server: RunningServer) -> None:
    await store(server, *(said(n, f"turn {n}", user_id="u", conversation_id=f"c{n}") for n in range(6)))
    found = await built(server, query="zugzwang", user_id="u", recent_turns=2, min_score=0.9)
    assert contents(found) == ["turn 4", "turn 5"]
    assert contents(await built(server, query="zugzwang", recent_turns=2, min_score=0.9)) == []


async def test_a_filter_holds_for_everything(server: RunningServer, rows: Rows) -> None:
    await store(server, *(said(n, f"bread {n}", role=("user", "assistant")[n % 2]) for n in range(8)))
    rows("update messages set pinned = true where content in ('bread 0', 'bread 1')")
    found = await built(server, filter="role = user", conversation_id="conv-1", neighbours=2)
    assert contents(found) == ["bread 0", "bread 2", "bread 4", "bread 6"]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await built(server, filter="role =")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_is_expired_archived_or_later_than_as_of_is_not_there(server: RunningServer, rows: Rows) -> None:
    ids = await store(server, *(said(n, f"bread {n}", user_id="u") for n in range(4)))
    rows("update messages set pinned = true, expires_at = now() where id = %s", ids[0])
    rows("update message_embeddings set expires_at = now() where message_id = %s", ids[0])
    rows("update messages set archived_at = now() where id = %s", ids[1])
    rows("update message_embeddings set archived = true where message_id = %s", ids[1])
    request: dict[str, Any] = {"user_id": "u", "neighbours": 5}
    assert contents(await built(server, **request)) == ["bread 2", "bread 3"]
    wanted = context_pb2.BuildContextRequest(tenant_id="acme", query="bread?", user_id="u", neighbours=5)
    wanted.as_of.FromDatetime(MONDAY + timedelta(minutes=2))
    assert contents(await server.memory.BuildContext(wanted)) == ["bread 0", "bread 1", "bread 2"], (
        "one was not expired then, and one not archived"
    )


async def test_what_is_not_embedded_is_recent_all_the_same_and_counted(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object, **__: object) -> None:
        raise EmbeddingUnavailable("The embedding model does not answer.")

    monkeypatch.setattr(Embedder, "embed_messages", down)
    await store(server, said(0, "fresh bread"))
    found = await built(server, conversation_id="conv-1")
    assert (reasons(found), found.pending) == ({"fresh bread": "recent"}, 1)


async def test_a_context_of_the_past_holds_what_was_then_said(server: RunningServer) -> None:
    (id_,) = await store(server, said(0, "I bake white bread", user_id="u"))
    stored = await server.memory.GetMessage(pb.GetMessageRequest(message_id=id_))
    change = revision_pb2.UpdateMessageRequest(tenant_id="acme", message_id=id_, content="I bake rye bread")
    change.update_mask.append("content")
    await server.memory.UpdateMessage(change)
    assert contents(await built(server, user_id="u")) == ["I bake rye bread"]
    wanted = context_pb2.BuildContextRequest(tenant_id="acme", query="what bread", user_id="u")
    wanted.as_of.CopyFrom(stored.updated_at)
    before = await server.memory.BuildContext(wanted)
    assert reasons(before) == {"I bake white bread": "recent"}


async def test_the_share_of_what_leads(server: RunningServer) -> None:
    await store(
        server,
        *(said(n, f"weather {n} " + "rain " * 20, conversation_id="now") for n in range(10)),
        *(said(n, f"bread {n} " + "crumb " * 20, conversation_id="old") for n in range(10)),
    )
    counted = []
    for share in (0.0, 0.5, 1.0):
        found = await built(server, query="bread crumb", max_tokens=400, conversation_id="now", recent_share=share)
        counted.append(list(reasons(found).values()).count("recent"))
    assert counted[0] == 0 and 0 < counted[1] < counted[2]


@pytest_asyncio.fixture
async def rest(start_rest: StartRest) -> AsyncIterator[RunningRest]:
    async with start_rest() as started:
        yield started


async def test_the_same_bytes_over_rest_again_and_again(rest: RunningRest) -> None:
    await store(rest.server, *(said(n, f"bread {n} for {n % 3}") for n in range(30)))
    body = {"tenant_id": "acme", "query": "bread", "conversation_id": "conv-1", "as_of": "2026-11-20T00:00:00Z"}
    answers = await asyncio.gather(*(rest.http.post("/v1/memory/context", json=body) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    found = answers[0].json()
    assert found["messages"][0]["reason"] in ("recent", "relevant")
    assert set(found["left_out"]) == {"too_long", "repeated_text", "low_score", "best"}
    assert found["as_of"] == body["as_of"]


@pytest.mark.parametrize(
    "change",
    [
        {"max_tokens": 0},
        {"max_tokens": 32_001},
        {"recent_turns": 101},
        {"recent_share": 1.5},
        {"neighbours": 21},
        {"query": ""},
    ],
)
async def test_what_is_out_of_bounds_is_named(rest: RunningRest, change: dict[str, Any]) -> None:
    answer = await rest.http.post("/v1/memory/context", json={"tenant_id": "acme", "query": "bread"} | change)
    assert answer.status_code == 400
    assert next(iter(change)) in answer.text

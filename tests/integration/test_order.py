"""Turns of one moment keep the order they were sent in, everywhere: in batches, streams and single calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from memory_grpc.embedding import Embedder
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningServer, StartServer

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]
Requests = Sequence[pb.IngestMessageRequest]
Send = Callable[[RunningServer, Requests], Awaitable[list[str]]]
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
RANKINGS = ("semantic", "hybrid")


def turns(count: int = 6, tenant: str = "acme", **fields: Any) -> list[pb.IngestMessageRequest]:
    """Turns of one conversation and one moment, alike but for their number."""
    found = []
    for n in range(count):
        request = pb.IngestMessageRequest(
            tenant_id=tenant, conversation_id="c", role="user", content=f"turn number {n}", **fields
        )
        request.created_at.FromDatetime(MOMENT)
        found.append(request)
    return found


async def by_batch(server: RunningServer, requests: Requests) -> list[str]:
    stored = await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=requests))
    return [m.id for m in stored.messages]


async def one_by_one(server: RunningServer, requests: Requests) -> list[str]:
    return [(await server.memory.IngestMessage(request)).id for request in requests]


async def by_stream(server: RunningServer, requests: Requests) -> list[str]:
    async def stream() -> AsyncIterator[pb.StreamIngestRequest]:
        for request in requests:
            yield pb.StreamIngestRequest(message=request)

    return [one.message_id async for one in server.memory.StreamIngest(stream())]


async def told(server: RunningServer, number: int, *, tenant: str = "acme", ranking: str = "semantic") -> list[str]:
    """A turn with all those around it, as a search tells them."""
    request = pb.SearchMemoriesRequest(
        tenant_id=tenant, query=f"turn number {number}", top_k=100, neighbours=20, ranking=ranking
    )
    request.as_of.FromDatetime(MOMENT)
    found = (await server.memory.SearchMemories(request)).items
    (hit,) = [hit for hit in found if hit.content == f"turn number {number}"]
    around = [hit.content, *(turn.content for turn in hit.neighbours.after)]
    return [turn.content for turn in hit.neighbours.before] + around


@pytest.mark.parametrize("send", [by_batch, one_by_one, by_stream])
async def test_turns_of_one_moment_come_back_as_they_were_sent(server: RunningServer, rows: Rows, send: Send) -> None:
    sent = turns()
    ids = await send(server, sent)
    contents = [request.content for request in sent]
    assert ids == sorted(ids), "ids rise"
    assert {UUID(id_).version for id_ in ids} == {7}
    assert [row[0] for row in rows("select content from messages order by created_at, id")] == contents
    for ranking in RANKINGS:
        for number in range(len(sent)):
            assert await told(server, number, ranking=ranking) == contents


async def test_a_stream_keeps_the_order_though_a_later_batch_is_embedded_first(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed, batches, second = Embedder.embed_messages, 0, asyncio.Event()

    async def slow_at_first(self: Embedder, texts: Sequence[str], **options: Any) -> Any:
        nonlocal batches
        batches += 1
        if batches == 1:
            await second.wait()
        embedded = await embed(self, texts, **options)
        if batches > 1:
            second.set()
        return embedded

    monkeypatch.setattr(Embedder, "embed_messages", slow_at_first)
    async with start_server() as server:
        sent = turns(700)
        ids = await by_stream(server, sent)
        assert batches >= 3
        assert ids == sorted(ids)
        found = rows("select content from messages order by created_at, id")
        assert [row[0] for row in found] == [request.content for request in sent]
        assert await told(server, 350) == [f"turn number {n}" for n in range(330, 371)]


async def test_what_is_embedded_later_keeps_its_place(server: RunningServer, rows: Rows) -> None:
    sent = turns()
    for n in (0, 3, 4):
        sent[n].embed_later = True
    await by_batch(server, sent)
    async with asyncio.timeout(10):
        while rows("select count(*) from embedding_jobs") != [(0,)]:
            await asyncio.sleep(0.02)
    assert await told(server, 3) == [request.content for request in sent]


async def test_repeats_in_a_batch_keep_their_place_and_the_new_ones_theirs(server: RunningServer, rows: Rows) -> None:
    sent = turns()
    for request in sent:
        request.request_id = str(uuid4())
    await by_batch(server, sent[:3])
    ids = await by_batch(server, sent)
    assert ids == sorted(ids)
    assert [row[0] for row in rows("select content from messages order by created_at, id")] == [
        request.content for request in sent
    ]


async def test_histories_of_many_tenants_at_once_keep_their_order(server: RunningServer) -> None:
    """Single calls of a tenant follow each other; those of others are committed beside and together with them."""
    tenants = [f"tenant-{n}" for n in range(6)]
    await asyncio.gather(*(one_by_one(server, turns(tenant=tenant)) for tenant in tenants))
    for tenant in tenants:
        assert await told(server, 2, tenant=tenant) == [f"turn number {n}" for n in range(6)]


@pytest.mark.parametrize("send", [by_batch, one_by_one, by_stream])
async def test_one_history_in_six_tenants_ranks_the_same(server: RunningServer, send: Send) -> None:
    """Ties too, of which a history is full: they go to the newer, then to the one that was sent later."""
    said = ["I baked bread", "the same words", "the same words", "we adopted a kitten", "the same words", "bread again"]
    answers: dict[str, set[tuple[Any, ...]]] = {}
    for number in range(6):
        history = turns(tenant=f"tenant-{number}")
        for request, content in zip(history, said, strict=True):
            request.content, request.conversation_id = content, "c" if "same" in content else "d"
            request.name = "Ann" if "bread" in content else ""
            if not request.name:
                request.ClearField("name")
        ids = await send(server, history)
        places = {id_: place for place, id_ in enumerate(ids)}
        for query in ("the same words", "bread", "what did Ann bake", "nothing of that", "kitten on 1 March 2026"):
            for ranking in RANKINGS:
                for top_k in (2, 6):
                    request = pb.SearchMemoriesRequest(
                        tenant_id=f"tenant-{number}", query=query, ranking=ranking, top_k=top_k, neighbours=2
                    )
                    request.as_of.FromDatetime(MOMENT)
                    found = (await server.memory.SearchMemories(request)).items
                    key = f"{query} {ranking} {top_k}"
                    answers.setdefault(key, set()).add(
                        tuple(
                            (places[hit.message_id], hit.score, tuple(places[t.id] for t in hit.neighbours.before))
                            for hit in found
                        )
                    )
    assert {key: len(different) for key, different in answers.items()} == dict.fromkeys(answers, 1)
    (tied,) = answers["the same words semantic 6"]
    assert [place for place, *_ in tied][:3] == [4, 2, 1]


async def test_a_broken_call_leaves_no_hole_in_the_order(server: RunningServer, rows: Rows) -> None:
    sent = turns()
    sent[2].created_at.FromDatetime(datetime(2100, 1, 1, tzinfo=UTC))
    with pytest.raises(grpc.aio.AioRpcError):
        await by_batch(server, sent)
    sent[2].created_at.FromDatetime(MOMENT)
    await by_batch(server, sent)
    assert [row[0] for row in rows("select content from messages order by created_at, id")] == [
        request.content for request in sent
    ]

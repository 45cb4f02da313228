"""Ingest: what is stored, once, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from memory_grpc.embedding import Embedder
from memory_grpc.errors import EmbeddingUnavailable
from memory_layer.v1 import embedding_service_pb2 as embedding
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.message_pb2 import Message
from tests.conftest import RunningServer, StartServer

Rows = Callable[..., list[tuple[Any, ...]]]


def message(content: str = "I love Python", **fields: Any) -> pb.IngestMessageRequest:
    return pb.IngestMessageRequest(
        **({"tenant_id": "acme", "conversation_id": "conv-1", "role": "user", "content": content} | fields)
    )


async def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_a_message_comes_back_as_it_was_sent(server: RunningServer) -> None:
    request = message("Grüße 👋", name="Caroline", importance_override=0.5)
    request.metadata.update({"source": "web", "n": 3, "nested": {"list": [1, None, True, "x"]}, "empty": {}})
    stored: Message = await server.memory.IngestMessage(request)

    assert stored.content == "Grüße 👋"
    assert stored.name == "Caroline"
    assert stored.metadata == request.metadata
    assert stored.embedding_status == "completed"
    assert stored.importance_score == pytest.approx(0.4 * 1 + 0.2 * 0.7 + 0.4 * 0.5)
    assert abs(stored.created_at.ToDatetime(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    assert await server.memory.GetMessage(pb.GetMessageRequest(message_id=stored.id)) == stored


@pytest.mark.asyncio
@pytest.mark.parametrize(("role", "importance"), [("system", 0.58), ("user", 0.54), ("assistant", 0.5)])
async def test_importance_counts_recency_and_role(server: RunningServer, role: str, importance: float) -> None:
    stored = await server.memory.IngestMessage(message(role=role))
    assert stored.importance_score == pytest.approx(importance)


@pytest.mark.asyncio
async def test_a_back_filled_message_keeps_its_time_and_loses_its_recency(server: RunningServer) -> None:
    request = message()
    request.created_at.FromDatetime(datetime(2023, 5, 8, 13, 56, 1, 250, tzinfo=UTC))
    stored = await server.memory.IngestMessage(request)
    assert stored.created_at == request.created_at
    assert stored.importance_score == pytest.approx(0.14)

    half_a_day = message()
    half_a_day.created_at.FromDatetime(datetime.now(UTC) - timedelta(hours=12))
    assert (await server.memory.IngestMessage(half_a_day)).importance_score == pytest.approx(0.34, abs=0.001)


@pytest.mark.asyncio
async def test_a_message_from_the_far_future_is_refused(server: RunningServer) -> None:
    request = message()
    request.created_at.FromDatetime(datetime.now(UTC) + timedelta(days=2))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await server.memory.IngestMessage(request)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "created_at: is more than a day in the future"


@pytest.mark.asyncio
async def test_identifiers_are_compared_byte_for_byte(server: RunningServer) -> None:
    tenants = ["A", "a", "\u00e9", "e\u0301", "a ", " a"]
    for tenant in tenants:
        await server.memory.IngestMessage(message(tenant, tenant_id=tenant))
    for tenant in tenants:
        found = await server.memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id=tenant, query=tenant))
        assert [hit.content for hit in found.items] == [tenant]


@pytest.mark.asyncio
async def test_a_batch_is_stored_in_order(server: RunningServer) -> None:
    contents = [f"message number {i}" for i in range(1000)]
    stored = await server.memory.BatchIngestMessages(
        pb.BatchIngestMessagesRequest(messages=[message(c) for c in contents])
    )
    assert [m.content for m in stored.messages] == contents
    assert {m.embedding_status for m in stored.messages} == {"completed"}


@pytest.mark.asyncio
async def test_a_batch_with_one_bad_message_stores_nothing_and_names_it(server: RunningServer, rows: Rows) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await server.memory.BatchIngestMessages(
            pb.BatchIngestMessagesRequest(messages=[message(), message(role="robot"), message(tenant_id=" ")])
        )
    assert refused.value.details() == "messages[1].role: must be one of user, assistant, system"
    with pytest.raises(grpc.aio.AioRpcError) as two_tenants:
        await server.memory.BatchIngestMessages(
            pb.BatchIngestMessagesRequest(messages=[message(), message(tenant_id="other")])
        )
    assert two_tenants.value.details() == "messages[1].tenant_id: must be the same as that of messages[0]"
    assert rows("select count(*) from messages") == [(0,)]


@pytest.mark.asyncio
async def test_a_retry_with_the_same_request_id_stores_nothing_new(server: RunningServer, rows: Rows) -> None:
    request = message(request_id=str(uuid4()))
    first = await server.memory.IngestMessage(request)
    assert await server.memory.IngestMessage(request) == first
    assert rows("select count(*) from messages") == [(1,)]


@pytest.mark.asyncio
async def test_a_request_id_with_another_body_is_refused(server: RunningServer) -> None:
    request_id = str(uuid4())
    await server.memory.IngestMessage(message(request_id=request_id))
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await server.memory.IngestMessage(message("something else", request_id=request_id))
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    # Another tenant's request ids are its own.
    await server.memory.IngestMessage(message("something else", request_id=request_id, tenant_id="other"))


@pytest.mark.asyncio
async def test_fifty_concurrent_identical_calls_store_one_row(server: RunningServer, rows: Rows) -> None:
    request = message(request_id=str(uuid4()))
    answers = await asyncio.gather(*(server.memory.IngestMessage(request) for _ in range(50)))
    assert len({answer.id for answer in answers}) == 1
    assert rows("select count(*) from messages") == [(1,)]
    assert rows("select count(*) from message_embeddings") == [(1,)]


@pytest.mark.asyncio
async def test_overlapping_batches_store_each_request_once(server: RunningServer, rows: Rows) -> None:
    ids = [str(uuid4()) for _ in range(60)]

    def batch(order: list[int]) -> pb.BatchIngestMessagesRequest:
        return pb.BatchIngestMessagesRequest(messages=[message(f"text {i}", request_id=ids[i]) for i in order])

    orders = [list(range(60)), list(range(59, -1, -1)), list(range(30, 60)), list(range(0, 60, 2))]
    answers = await asyncio.gather(*(server.memory.BatchIngestMessages(batch(order)) for order in orders))
    for order, answer in zip(orders, answers, strict=True):
        assert [m.content for m in answer.messages] == [f"text {i}" for i in order]
    assert rows("select count(*), count(distinct content) from messages") == [(60, 60)]


@pytest.mark.asyncio
async def test_a_message_is_kept_while_the_model_is_down_and_found_once_it_is_back(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = True
    embed = Embedder.embed_messages

    async def fails_while_down(self: Embedder, texts: Any, **options: Any) -> Any:
        if down:
            raise EmbeddingUnavailable
        return await embed(self, texts, **options)

    monkeypatch.setattr(Embedder, "embed_messages", fails_while_down)
    search = pb.SearchMemoriesRequest(tenant_id="acme", query="I love Python")
    async with start_server() as server:
        stored = await server.memory.IngestMessage(message())
        assert stored.embedding_status == "pending"
        assert (await server.memory.GetMessage(pb.GetMessageRequest(message_id=stored.id))) == stored
        assert (await server.memory.SearchMemories(search)).total == 0
        down = False
        await eventually(lambda: rows("select embedding_status from messages") == [("completed",)])
        assert [hit.message_id for hit in (await server.memory.SearchMemories(search)).items] == [stored.id]
    assert rows("select count(*) from embedding_jobs") == [(0,)]


@pytest.mark.asyncio
async def test_a_message_the_model_refuses_for_good_is_marked_failed_and_kept(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(self: Embedder, texts: Any, **options: Any) -> Any:
        raise EmbeddingUnavailable

    monkeypatch.setattr(Embedder, "embed_messages", refuses)
    async with start_server(embedding_max_attempts=1) as server:
        stored = await server.memory.IngestMessage(message())
        await eventually(lambda: rows("select embedding_status from messages") == [("failed",)])
        found = await server.memory.GetMessage(pb.GetMessageRequest(message_id=stored.id))
        assert found.embedding_status == "failed"


@pytest.mark.asyncio
async def test_get_says_the_same_of_what_is_not_there_and_what_is_another_tenants(server: RunningServer) -> None:
    stored = await server.memory.IngestMessage(message())
    details = set()
    for request in (
        pb.GetMessageRequest(message_id=str(uuid4())),
        pb.GetMessageRequest(message_id=stored.id, tenant_id="other"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.memory.GetMessage(request)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        details.add(refused.value.details())
    assert len(details) == 1
    assert (await server.memory.GetMessage(pb.GetMessageRequest(message_id=stored.id.upper()))).id == stored.id


@pytest.mark.asyncio
async def test_an_asynchronous_message_is_acknowledged_pending_and_embedded_soon(
    server: RunningServer, rows: Rows
) -> None:
    stored = await server.memory.IngestMessage(message(embed_later=True))
    assert stored.embedding_status == "pending"
    await eventually(lambda: rows("select embedding_status from messages") == [("completed",)])
    found = await server.memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id="acme", query="I love Python"))
    assert [hit.message_id for hit in found.items] == [stored.id]


@pytest.mark.asyncio
async def test_two_servers_share_the_queue_and_every_accepted_message_has_a_status(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server(async_embeddings=True) as one, start_server(async_embeddings=True) as two:
        for server in (one, two):
            for start in range(0, 1000, 250):
                batch = [message(f"text {start + i}") for i in range(250)]
                batch[0] = message("embedded at once", embed_later=False)
                await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch))
        await eventually(lambda: rows("select count(*) from embedding_jobs") == [(0,)], 30)
    assert rows("select embedding_status, count(*) from messages group by 1") == [("completed", 2000)]
    assert rows("select count(*), count(distinct message_id) from message_embeddings") == [(2000, 2000)]


@pytest.mark.asyncio
async def test_failed_messages_are_tried_again_when_an_operator_says_so(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(self: Embedder, texts: Any, **options: Any) -> Any:
        raise EmbeddingUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(Embedder, "embed_messages", refuses)
        async with start_server(embedding_max_attempts=1) as server:
            await server.memory.IngestMessage(message())
            await eventually(lambda: rows("select embedding_status from messages") == [("failed",)])
    async with start_server() as server:
        request = embedding.RetryFailedEmbeddingsRequest(tenant_id="acme")
        assert (await server.embedding.RetryFailedEmbeddings(request)).queued == 1
        await eventually(lambda: rows("select embedding_status from messages") == [("completed",)])
        assert (await server.embedding.RetryFailedEmbeddings(request)).queued == 0


@pytest.mark.asyncio
async def test_a_stream_is_acknowledged_in_order_and_stored_once(server: RunningServer, rows: Rows) -> None:
    ids = [str(uuid4()) for _ in range(3000)]

    async def stream(start: int) -> AsyncIterator[pb.StreamIngestRequest]:
        for i in range(start, len(ids)):
            tenant = f"t{i % 3}"
            yield pb.StreamIngestRequest(message=message(f"text {i}", tenant_id=tenant, request_id=ids[i]))

    acknowledged = [ack async for ack in server.memory.StreamIngest(stream(0))]
    assert [ack.sequence for ack in acknowledged] == list(range(3000))
    contents = dict(rows("select id::text, content from messages"))
    assert [contents[ack.message_id] for ack in acknowledged] == [f"text {i}" for i in range(3000)]
    # A stream that broke is resumed by sending again: what is stored is acknowledged as before.
    again = [ack.message_id async for ack in server.memory.StreamIngest(stream(1000))]
    assert again == [ack.message_id for ack in acknowledged[1000:]]
    assert rows("select count(*) from messages") == [(3000,)]


@pytest.mark.asyncio
async def test_a_stream_ends_at_the_first_bad_message_with_all_before_it_stored(
    server: RunningServer, rows: Rows
) -> None:
    async def stream() -> AsyncIterator[pb.StreamIngestRequest]:
        for i in range(500):
            yield pb.StreamIngestRequest(message=message(f"text {i}", role="robot" if i == 400 else "user"))

    acknowledged = []
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for ack in server.memory.StreamIngest(stream()):
            acknowledged.append(ack.sequence)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "messages[400].role: must be one of user, assistant, system"
    assert acknowledged == list(range(400))
    assert rows("select count(*) from messages") == [(400,)]


@pytest.mark.asyncio
async def test_concurrent_calls_are_committed_together_and_answered_each_for_itself(
    server: RunningServer, rows: Rows
) -> None:
    late, reused = message("late", request_id=str(uuid4())), message("another body", request_id=str(uuid4()))
    late.created_at.FromDatetime(datetime.now(UTC) + timedelta(days=2))
    await server.memory.IngestMessage(message("first body", request_id=reused.request_id))
    sent = [message(f"message {n}", tenant_id=f"tenant-{n % 2}") for n in range(60)]
    calls = [asyncio.ensure_future(server.memory.IngestMessage(m)) for m in (*sent[:30], late, reused, *sent[30:])]
    answers = await asyncio.gather(*calls, return_exceptions=True)

    codes = [answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert codes == [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.ALREADY_EXISTS]
    stored = [answer for answer in answers if not isinstance(answer, BaseException)]
    assert [m.content for m in stored] == [m.content for m in sent]
    assert [m.tenant_id for m in stored] == [m.tenant_id for m in sent]
    found = rows("select id::text, content, embedding_status from messages where content like 'message %%'")
    assert sorted(found) == sorted((m.id, m.content, "completed") for m in stored)
    transactions, lexemes = rows("select count(distinct xmin::text), count(*) from message_lexemes")[0]
    assert lexemes == 61
    assert transactions < 61


@pytest.mark.asyncio
async def test_an_answer_says_whether_the_message_was_there_already(server: RunningServer) -> None:
    request = message(request_id=str(uuid4()))

    async def repeated() -> bool:
        call = server.memory.IngestMessage(request)
        await call
        return ("x-repeated", "true") in [(key, value) for key, value in await call.initial_metadata()]

    assert [await repeated(), await repeated()] == [False, True]
    batch = pb.BatchIngestMessagesRequest(messages=[message("new"), request, message("newer")])
    assert list((await server.memory.BatchIngestMessages(batch)).repeated_indexes) == [1]

    async def stream() -> AsyncIterator[pb.StreamIngestRequest]:
        for one in (request, message("newest")):
            yield pb.StreamIngestRequest(message=one)

    acknowledged = [ack async for ack in server.memory.StreamIngest(stream())]
    assert [ack.is_repeated for ack in acknowledged] == [True, False]
    assert acknowledged[1].importance_score == pytest.approx(0.54)


@pytest.mark.asyncio
async def test_the_same_request_sent_by_many_at_once_is_stored_once(server: RunningServer, rows: Rows) -> None:
    request = message(request_id=str(uuid4()))
    answers = await asyncio.gather(*(server.memory.IngestMessage(request) for _ in range(20)))
    assert len({answer.id for answer in answers}) == 1
    assert rows("select count(*) from messages") == [(1,)]


@pytest.mark.asyncio
async def test_a_slow_model_does_not_end_a_stream(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch, rows: Rows
) -> None:
    """The request timeout is for one call: a full batch has it several times over."""
    embed = Embedder.embed_messages

    async def slowly(self: Embedder, texts: Any, **options: Any) -> Any:
        await asyncio.sleep(0.02 * len(texts))
        return await embed(self, texts, **options)

    monkeypatch.setattr(Embedder, "embed_messages", slowly)

    async def stream() -> AsyncIterator[pb.StreamIngestRequest]:
        for n in range(300):
            yield pb.StreamIngestRequest(message=message(f"message {n}"))

    async with start_server(request_timeout_seconds=2.0) as server:
        acknowledged = [ack.sequence async for ack in server.memory.StreamIngest(stream())]
    assert acknowledged == list(range(300))
    assert rows("select count(*) from messages") == [(300,)]

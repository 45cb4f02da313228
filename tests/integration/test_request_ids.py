"""Request ids: what is stored once, what becomes of repeats, and where a batch or a stream ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from memory_grpc.embedding import Embedder
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2
from tests.conftest import RunningServer
from tests.integration.test_ingest import message
from tests.integration.test_retention import sweep
from tests.projections import ADRIFT

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]


def far(content: str, **fields: Any) -> pb.IngestMessageRequest:
    """A message that is refused: it comes from the day after tomorrow."""
    request = message(content, **fields)
    request.created_at.FromDatetime(datetime.now(UTC) + timedelta(days=2))
    return request


def batch(*messages: pb.IngestMessageRequest) -> pb.BatchIngestMessagesRequest:
    return pb.BatchIngestMessagesRequest(messages=messages)


async def delete_everything(server: RunningServer) -> None:
    """As retention does it."""
    nothing = policy_pb2.RetentionPolicy(max_age_days=0, delete_after_days=0)
    await server.policy.SetTenantPolicy(policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme", retention=nothing))
    for action in ("archive", "delete"):
        await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=[action]))
    await server.policy.SetTenantPolicy(policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme"))


class Held:
    """A model that embeds nothing until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = asyncio.Event()
        embed = Embedder.embed_messages

        async def held(embedder: Embedder, texts: Sequence[str], **options: Any) -> Any:
            await self.go.wait()
            return await embed(embedder, texts, **options)

        monkeypatch.setattr(Embedder, "embed_messages", held)


async def streamed(
    server: RunningServer, messages: Sequence[pb.IngestMessageRequest], held: Held | None = None
) -> tuple[list[pb.StreamIngestResponse], grpc.aio.AioRpcError | None]:
    """What was acknowledged, and the error that ended the stream. With ``held`` nothing is embedded before all is sent:
    what comes after the first two, which each are a batch, is as few batches as can be."""

    async def stream() -> AsyncIterator[pb.StreamIngestRequest]:
        for request in messages:
            yield pb.StreamIngestRequest(message=request)
        if held:
            await asyncio.sleep(0.2)  # what was sent last is on its way still
            held.go.set()

    acknowledged = []
    try:
        async for one in server.memory.StreamIngest(stream()):
            acknowledged.append(one)
    except grpc.aio.AioRpcError as error:
        return acknowledged, error
    return acknowledged, None


async def test_a_batch_that_repeats_a_deleted_message_stores_nothing(server: RunningServer, rows: Rows) -> None:
    repeated = message("once", request_id=str(uuid4()))
    await server.memory.IngestMessage(repeated)
    await delete_everything(server)
    for position in (0, 1, 2):
        sent = [message("new", request_id=str(uuid4())), message("newer")]
        sent.insert(position, repeated)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.memory.BatchIngestMessages(batch(*sent))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert rows("select count(*) from messages") == [(0,)]
        assert rows("select request_id::text from idempotency_keys") == [(repeated.request_id,)]
    with pytest.raises(grpc.aio.AioRpcError) as alone:
        await server.memory.IngestMessage(repeated)
    assert alone.value.code() is grpc.StatusCode.NOT_FOUND


async def test_concurrent_calls_beside_a_repeat_of_a_deleted_message_are_stored(
    server: RunningServer, rows: Rows
) -> None:
    """They are committed together with it, and are not its affair."""
    repeated = message("once", request_id=str(uuid4()))
    await server.memory.IngestMessage(repeated)
    await delete_everything(server)
    sent = [message(f"new {n}") for n in range(20)]
    sent.insert(10, repeated)
    answers = await asyncio.gather(*map(server.memory.IngestMessage, sent), return_exceptions=True)
    assert [isinstance(answer, Exception) for answer in answers] == [n == 10 for n in range(21)]
    assert answers[10].code() is grpc.StatusCode.NOT_FOUND
    assert rows("select count(*) from messages") == [(20,)]


@pytest.mark.parametrize("apart", [4, 300])
async def test_a_stream_stores_a_request_id_once(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch, apart: int
) -> None:
    """Within one batch, and in a later one that is embedded while the first is."""
    repeated = message("twice", request_id=str(uuid4()))
    sent = [message(f"message {n}") for n in range(apart + 20)]
    sent[5] = sent[5 + apart] = repeated
    acknowledged, error = await streamed(server, sent, Held(monkeypatch))
    assert error is None
    assert [one.sequence for one in acknowledged] == list(range(len(sent)))
    assert acknowledged[5].message_id == acknowledged[5 + apart].message_id
    assert [n for n, one in enumerate(acknowledged) if one.is_repeated] == [5 + apart]
    assert rows("select count(*), count(distinct id) from messages") == [(len(sent) - 1, len(sent) - 1)]


@pytest.mark.parametrize("apart", [4, 300])
async def test_a_stream_with_another_body_under_a_request_id_ends_there(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch, apart: int
) -> None:
    """What came before is stored and acknowledged, to the last message."""
    sent = [message(f"message {n}") for n in range(apart + 20)]
    sent[5], sent[5 + apart] = (message(text, request_id="7b0b6f0e-6c8e-4c62-9a53-0d4cb0b1a4f1") for text in "ab")
    acknowledged, error = await streamed(server, sent, Held(monkeypatch))
    assert error is not None
    assert error.code() is grpc.StatusCode.ALREADY_EXISTS
    assert [one.sequence for one in acknowledged] == list(range(5 + apart))
    stored = dict(rows("select id::text, content from messages"))
    assert [stored[one.message_id] for one in acknowledged] == [m.content for m in sent[: 5 + apart]]
    assert len(stored) == len(acknowledged)


async def test_a_stream_ends_at_a_repeat_of_a_deleted_message(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeated = message("once", request_id=str(uuid4()))
    await server.memory.IngestMessage(repeated)
    await delete_everything(server)
    sent = [message(f"message {n}") for n in range(12)]
    sent[8] = repeated
    acknowledged, error = await streamed(server, sent, Held(monkeypatch))
    assert error is not None
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert [one.sequence for one in acknowledged] == list(range(8))
    assert rows("select count(*) from messages") == [(8,)]


@pytest.mark.parametrize("broken", [0, 1, 7, 40])
async def test_a_stream_of_two_tenants_names_the_message_that_ends_it(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch, broken: int
) -> None:
    """By its place in the stream, not in its batch or among its tenant's; what came before it is stored."""
    sent = [message(f"message {n}", tenant_id=f"tenant-{n % 2}") for n in range(60)]
    sent[broken], sent[broken + 11] = (far("too early", tenant_id=f"tenant-{n % 2}") for n in (broken, broken + 11))
    acknowledged, error = await streamed(server, sent, Held(monkeypatch))
    assert error is not None
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == f"messages[{broken}].created_at: is more than a day in the future"
    assert [one.sequence for one in acknowledged] == list(range(broken))
    stored = dict(rows("select id::text, content from messages"))
    assert [stored[one.message_id] for one in acknowledged] == [f"message {n}" for n in range(broken)]
    of_its_tenant = rows("select count(*) from messages where tenant_id = %s", f"tenant-{broken % 2}")
    assert of_its_tenant == [((broken + 1) // 2 if broken % 2 == 0 else broken // 2,)], "nothing is stored after a gap"


async def test_violations_name_their_index_in_a_batch_with_known_repeats(server: RunningServer, rows: Rows) -> None:
    known = [message(f"known {n}", request_id=str(uuid4())) for n in range(3)]
    await server.memory.BatchIngestMessages(batch(*known))
    sent = [known[0], message("new"), known[1], far("broken"), known[2], far("broken too", request_id=str(uuid4()))]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await server.memory.BatchIngestMessages(batch(*sent))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "messages[3].created_at: is more than a day in the future"
    assert rows("select count(*) from messages") == [(3,)]
    whole = await server.memory.BatchIngestMessages(batch(*(m for m in sent if not m.HasField("created_at"))))
    assert [m.content for m in whole.messages] == ["known 0", "new", "known 1", "known 2"]
    assert list(whole.repeated_indexes) == [0, 2, 3]


async def test_a_kept_request_id_lasts_as_long_as_its_message(server: RunningServer, rows: Rows) -> None:
    kept, usual = (
        message(text, request_id=str(uuid4()), keep_request_id=text == "kept", importance_override=1.0)
        for text in ("kept", "usual")
    )
    ids = [m.id for m in (await server.memory.BatchIngestMessages(batch(kept, usual))).messages]
    assert await sweep(server, schedule_seconds=0.0, idempotency_hours=0.0)() is not None
    assert rows("select request_id::text from idempotency_keys") == [(kept.request_id,)]
    assert (await server.memory.IngestMessage(kept)).id == ids[0]
    assert (await server.memory.IngestMessage(usual)).id != ids[1], "forgotten after its hours"

    rows("update messages set created_at = now() - interval '31 days'")
    await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
    assert (await server.memory.IngestMessage(kept)).id == ids[0], "the archive remembers it"
    await delete_everything(server)
    assert rows("select request_id::text from idempotency_keys where kept") == []
    again = await server.memory.IngestMessage(kept)
    assert again.id != ids[0], "with its message the id is gone"


@pytest.mark.parametrize("how", ["alone", "in a batch", "in a stream"])
async def test_whichever_way_it_comes_a_request_id_is_kept(server: RunningServer, rows: Rows, how: str) -> None:
    request = message(request_id=str(uuid4()), keep_request_id=True)
    if how == "alone":
        await server.memory.IngestMessage(request)
    elif how == "in a batch":
        await server.memory.BatchIngestMessages(batch(message(), request))
    else:
        await streamed(server, [message(), request])
    assert rows("select request_id::text, kept from idempotency_keys") == [(request.request_id, True)]


async def test_whether_it_is_kept_does_not_make_it_another_request(server: RunningServer) -> None:
    request = message(request_id=str(uuid4()))
    first = await server.memory.IngestMessage(request)
    request.keep_request_id = True
    assert (await server.memory.IngestMessage(request)).id == first.id


@pytest.mark.parametrize("how", ["alone", "in a batch", "in a stream"])
async def test_a_request_id_is_kept_from_the_call_on_that_asks_for_it(
    server: RunningServer, rows: Rows, how: str
) -> None:
    request = message(request_id=str(uuid4()))
    first = await server.memory.IngestMessage(request)
    request.keep_request_id = True
    if how == "alone":
        assert (await server.memory.IngestMessage(request)).id == first.id
    elif how == "in a batch":
        stored = await server.memory.BatchIngestMessages(batch(message("other"), request))
        assert list(stored.repeated_indexes) == [1]
    else:
        await streamed(server, [message("other"), request])
    request.keep_request_id = False  # what was asked for once holds
    await server.memory.IngestMessage(request)
    assert await sweep(server, schedule_seconds=0.0, idempotency_hours=0.0)() is not None
    assert rows("select request_id::text, message_id::text, kept from idempotency_keys") == [
        (request.request_id, first.id, True)
    ]


async def test_a_request_id_twice_in_a_call_is_kept_where_one_of_them_asks(server: RunningServer, rows: Rows) -> None:
    request_id = str(uuid4())

    async def twice() -> AsyncIterator[pb.StreamIngestRequest]:
        for kept in (False, True):
            yield pb.StreamIngestRequest(message=message(request_id=request_id, keep_request_id=kept))

    assert [ack.is_repeated async for ack in server.memory.StreamIngest(twice())] == [False, True]
    assert rows("select kept from idempotency_keys") == [(True,)]


async def test_archived_messages_that_wait_are_embedded(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch)
    old = message("the quetzal sang", embed_later=True)
    old.created_at.FromDatetime(datetime.now(UTC) - timedelta(days=40))
    stored = await server.memory.IngestMessage(old)
    done = await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
    assert done.archived == 1
    held.go.set()
    async with asyncio.timeout(10):
        while rows("select embedding_status from messages") != [("completed",)]:
            await asyncio.sleep(0.02)
    assert rows("select archived from message_embeddings") == [(True,)]
    assert rows(ADRIFT) == [(0,)]
    for ranking in ("semantic", "hybrid"):
        wanted = pb.SearchMemoriesRequest(tenant_id="acme", query="quetzal", ranking=ranking)
        assert (await server.memory.SearchMemories(wanted)).total == 0
        wanted.include_archived = True
        found = await server.memory.SearchMemories(wanted)
        assert [hit.message_id for hit in found.items] == [stored.id]

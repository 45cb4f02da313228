"""Ingest under pressure: full queues, senders that outrun the server, workers that have to be woken."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from memory_grpc.embedding import Embedder
from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.errors import EmbeddingUnavailable
from memory_grpc.jobs import start
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import StartServer

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]

# Of one moment, since it is one statement: messages by status, and those of them that are where their status says.
STATUSES = """
select count(*),
    count(*) filter (where embedding_status = 'completed' and v.message_id is not null and j.message_id is null),
    count(*) filter (where embedding_status = 'pending' and v.message_id is null and j.message_id is not null),
    count(*) filter (where embedding_status = 'failed' and v.message_id is null and j.message_id is null)
from messages m
left join message_embeddings v on v.tenant_id = m.tenant_id and v.message_id = m.id
left join embedding_jobs j on j.tenant_id = m.tenant_id and j.message_id = m.id
"""


def message(content: str, **fields: Any) -> pb.IngestMessageRequest:
    return pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content=content, **fields)


async def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.fixture
def held_model(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The model answers once this is set."""
    go = threading.Event()
    encode = HashingProvider.encode

    def held(self: HashingProvider, windows: Any) -> Any:
        go.wait(120)
        return encode(self, windows)

    monkeypatch.setattr(HashingProvider, "encode", held)
    return go


async def test_what_does_not_fit_into_the_queue_is_kept_as_pending_at_once(
    start_server: StartServer, held_model: threading.Event, rows: Rows
) -> None:
    small = {"embedding_queue_size": 20, "embedding_workers": 1, "embedding_batch_size": 4}
    patient = {"embedding_hang_seconds": 120, "request_timeout_seconds": 120}
    async with start_server(**small, **patient) as server:
        calls = [asyncio.ensure_future(server.memory.IngestMessage(message(f"text {n}"))) for n in range(100)]
        # The model stands still, with a batch in it and a full queue before it: whoever is answered now is kept for it.
        await eventually(lambda: sum(call.done() for call in calls) >= 75)
        assert {(await call).embedding_status for call in calls if call.done()} == {"pending"}
        held_model.set()
        stored = await asyncio.gather(*calls)
        assert "completed" in {answer.embedding_status for answer in stored}
        await eventually(lambda: rows("select count(*) from messages where embedding_status = 'pending'") == [(0,)])
    assert sorted(rows("select id::text from messages")) == sorted((answer.id,) for answer in stored)


async def test_a_stream_that_outruns_the_server_is_held_back(
    start_server: StartServer, held_model: threading.Event, rows: Rows
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[pb.StreamIngestRequest]:
        nonlocal sent
        while sent < 100_000:
            yield pb.StreamIngestRequest(message=message(f"{sent} " + "x" * 2_000))
            sent += 1

    async with start_server() as server:
        call = server.memory.StreamIngest(endless())
        before = -1
        while sent != before:  # until nothing has gone out for a while
            before = sent
            await asyncio.sleep(1.0)
        assert 1_000 < sent < 10_000, "what the server's inbox and the connection hold, and no more"
        held_model.set()
        acknowledged = [(await call.read()).sequence for _ in range(3_000)]
        assert acknowledged == list(range(3_000))
        assert sent > before, "it goes on when the server does"
        call.cancel()


async def test_a_worker_is_woken_and_does_not_wait_for_its_next_look(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "_PENDING_POLL_SECONDS", 3600.0)
    async with start_server(async_embeddings=True) as one, start_server(embedding_workers=1):
        for n in range(3):
            await asyncio.sleep(0.2)
            await one.memory.IngestMessage(message(f"text {n}"))
            await eventually(
                lambda: rows("select embedding_status from messages where embedding_status = 'pending'") == []
            )


async def test_inference_threads_do_not_wait_long_for_the_interpreter(start_server: StartServer) -> None:
    async with start_server():
        assert sys.getswitchinterval() < 0.001


async def test_the_jobs_of_a_worker_that_died_come_back_when_its_lease_ends(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(self: Embedder, texts: Any, **_: Any) -> Any:
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(Embedder, "embed_messages", dies)
        async with start_server() as server:
            await server.memory.IngestMessage(message("kept", embed_later=True))
            await eventually(lambda: rows("select attempts from embedding_jobs") == [(1,)])
    leased = "select run_at > now() + interval '30 seconds', attempts from embedding_jobs"
    async with start_server():
        await asyncio.sleep(0.5)
        assert rows(leased) == [(True, 1)], "nobody takes it from a worker that may be at it"
        rows("update embedding_jobs set run_at = now()")  # what a minute does
        await eventually(lambda: rows("select embedding_status from messages") == [("completed",)])
    assert rows("select count(*) from embedding_jobs") == [(0,)]


async def test_pending_and_completed_and_failed_are_what_was_accepted_at_every_moment(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = HashingProvider.encode

    def choosy(self: HashingProvider, windows: Any) -> Any:
        if any("poison" in window.payload for window in windows):
            raise EmbeddingUnavailable
        return encode(self, windows)

    monkeypatch.setattr(HashingProvider, "encode", choosy)
    accepted = 0
    moments: list[tuple[int, ...]] = []

    async def caller(number: int, server: Any) -> None:
        nonlocal accepted
        for n in range(20):
            poison = " poison" if n % 7 == 3 else ""
            await server.memory.IngestMessage(message(f"text {number} {n}{poison}", embed_later=n % 2 == 0))
            accepted += 1

    async with start_server(embedding_max_attempts=2) as one, start_server(embedding_max_attempts=2) as two:
        work = asyncio.gather(*(caller(n, (one, two)[n % 2]) for n in range(20)))

        async def look() -> tuple[int, ...]:
            (row,) = await asyncio.to_thread(rows, STATUSES)
            total, *parts = row
            assert sum(parts) == total
            moments.append(row)
            return row

        while not work.done():
            least = accepted
            assert (await look())[0] >= least
        await work
        while (await look())[2]:
            await asyncio.sleep(0.1)
    assert accepted == 400
    assert moments[-1] == (400, 340, 0, 60)
    assert any(pending for _, _, pending, _ in moments)

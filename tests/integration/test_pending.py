"""The queue of pending messages: a job is one worker's for as long as it works at it, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import psycopg
import pytest
import pytest_asyncio

from memory_grpc.embedding import Embedder
from memory_grpc.errors import EmbeddingUnavailable, LeaseLost, StoreUnavailable
from memory_grpc.jobs import start
from memory_grpc.jobs.pending import EmbedPending
from memory_grpc.store import embeddings, jobs
from memory_grpc.store.database import Database
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningServer, StartServer

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]

# Long enough for a busy machine to send a heartbeat in time, short enough to be waited for.
SECONDS = 3.0
STATUSES = "select tenant_id, embedding_status, count(*) from messages group by 1, 2 order by 1, 2"
VECTORS = "select tenant_id, count(*) from message_embeddings group by 1 order by 1"


class Model:
    """Embeds when it is let; counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.go = asyncio.Event()
        self.begun = asyncio.Event()
        self.fails_for: str | None = None


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    made = Model()
    embed = Embedder.embed_messages

    async def held(self: Embedder, texts: Sequence[str], **options: Any) -> Any:
        made.asked.append(len(texts))
        made.begun.set()
        await made.go.wait()
        if any(text == made.fails_for for text in texts):
            raise EmbeddingUnavailable
        return await embed(self, texts, **options)

    monkeypatch.setattr(Embedder, "embed_messages", held)
    return made


@pytest_asyncio.fixture
async def server(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningServer]:
    """A server whose own workers are not started."""
    monkeypatch.setattr(start, "_PENDING_WORKERS", 0)
    async with start_server(async_embeddings=True) as started:
        yield started


async def fill(server: RunningServer, tenant: str, count: int, text: str = "number") -> None:
    requests = [
        pb.IngestMessageRequest(tenant_id=tenant, conversation_id="c", role="user", content=f"{text} {n}")
        for n in range(count)
    ]
    await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=requests))


def worker(server: RunningServer, seconds: float = 60.0, database: Database | None = None) -> EmbedPending:
    database = database or server.database
    models = server.application.operations.reembeddings._models
    return EmbedPending(database, database, models, max_attempts=10, lease_seconds=seconds)


async def test_a_slow_model_costs_a_message_one_attempt(server: RunningServer, rows: Rows, model: Model) -> None:
    await fill(server, "a", 3)
    await fill(server, "b", 1)
    working = asyncio.create_task(worker(server, SECONDS)())
    await model.begun.wait()
    ((first,),) = rows("select distinct run_at from embedding_jobs")
    async with asyncio.timeout(20):
        while rows("select clock_timestamp() < %s::timestamptz + interval '1 second'", first) == [(True,)]:
            assert await worker(server)() == 0, "another worker finds nothing due, those that wait their turn included"
            await asyncio.sleep(0.1)
    assert rows("select distinct attempts from embedding_jobs") == [(1,)]
    model.go.set()
    assert await working == 4
    assert rows(STATUSES) == [("a", "completed", 3), ("b", "completed", 1)]
    assert sorted(model.asked) == [1, 3]


TAKEN = "update embedding_jobs set attempts = attempts + 1, run_at = now() + interval '1 hour'"


@pytest.mark.parametrize("by_now", ["taken", "finished", "finished, queued and taken again"])
async def test_what_another_has_taken_is_not_stored(
    server: RunningServer, rows: Rows, model: Model, by_now: str
) -> None:
    await fill(server, "a", 2)
    working = asyncio.create_task(worker(server)())
    await model.begun.wait()
    if by_now == "taken":
        rows(TAKEN)
    else:
        ids = rows("delete from embedding_jobs returning message_id")
        if by_now != "finished":  # as when a cut-over makes messages pending that the new model has refused
            for (id_,) in ids:
                rows("insert into embedding_jobs values ('a', %s, 1, now() + interval '1 hour')", id_)
    before = rows("select * from embedding_jobs order by message_id")
    model.go.set()
    await working
    assert rows(VECTORS) == []
    assert rows(STATUSES) == [("a", "pending", 2)]
    assert rows("select * from embedding_jobs order by message_id") == before, "the other's lease is left alone"


async def test_what_is_still_held_of_a_batch_is_stored(server: RunningServer, rows: Rows, model: Model) -> None:
    await fill(server, "a", 3)
    working = asyncio.create_task(worker(server)())
    await model.begun.wait()
    ((taken,),) = rows("select message_id from embedding_jobs limit 1")
    rows("update embedding_jobs set attempts = 2, run_at = now() + interval '1 hour' where message_id = %s", taken)
    model.go.set()
    await working
    assert rows(STATUSES) == [("a", "completed", 2), ("a", "pending", 1)]
    assert rows("select message_id, attempts from embedding_jobs") == [(taken, 2)]


async def test_work_ends_where_every_job_is_another_s(server: RunningServer, rows: Rows, model: Model) -> None:
    await fill(server, "a", 2)
    working = asyncio.create_task(worker(server, SECONDS)())
    await model.begun.wait()
    rows(TAKEN)
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(working, 20)
    assert rows(STATUSES) == [("a", "pending", 2)]


async def test_work_ends_when_no_heartbeat_goes_through(
    server: RunningServer, rows: Rows, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: Any, **fields: Any) -> None:
        raise StoreUnavailable

    await fill(server, "a", 2)
    working = asyncio.create_task(worker(server, SECONDS)())
    await model.begun.wait()
    monkeypatch.setattr(jobs, "hold", away)
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(working, 20)


async def test_a_failed_try_of_what_another_has_taken_is_not_counted(
    server: RunningServer, rows: Rows, model: Model
) -> None:
    await fill(server, "a", 1, "poison")
    model.fails_for = "poison 0"
    rows("update embedding_jobs set attempts = 9")
    working = asyncio.create_task(worker(server)())
    await model.begun.wait()
    rows(TAKEN)
    before = rows("select * from embedding_jobs")
    model.go.set()
    await working
    assert rows("select * from embedding_jobs") == before
    assert rows(STATUSES) == [("a", "pending", 1)]


@pytest.mark.parametrize("error", [psycopg.errors.CheckViolation("what a said"), StoreUnavailable()])
async def test_the_trouble_of_one_tenant_is_nobody_else_s(
    server: RunningServer, rows: Rows, model: Model, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    insert = embeddings.insert_many

    async def fails_for_a(tx: Any, tenant_id: str, *arguments: Any) -> None:
        if tenant_id == "a":
            raise error
        await insert(tx, tenant_id, *arguments)

    monkeypatch.setattr(embeddings, "insert_many", fails_for_a)
    model.go.set()
    for tenant in ("a", "b", "c"):
        await fill(server, tenant, 2)
    assert await worker(server)() == 6
    assert rows(STATUSES) == [("a", "pending", 2), ("b", "completed", 2), ("c", "completed", 2)]
    assert rows("select distinct attempts, run_at > now() from embedding_jobs") == [(1, True)]


async def test_what_can_never_be_stored_is_given_up_as_what_can_never_be_embedded(
    server: RunningServer, rows: Rows, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(*args: Any) -> None:
        raise psycopg.errors.CheckViolation("what a said")

    monkeypatch.setattr(embeddings, "insert_many", refused)
    model.go.set()
    await fill(server, "a", 1)
    for _ in range(10):
        rows("update embedding_jobs set run_at = now()")
        assert await worker(server)() == 1
    assert rows(STATUSES) == [("a", "failed", 1)]
    assert rows("select count(*) from embedding_jobs") == [(0,)]

"""The job that re-embeds: one server at a time, and one tenant's trouble is nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import pytest_asyncio

from memory_grpc.errors import LeaseLost, ProviderDown, StoreUnavailable
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.reembed import LEASE, LEASE_SECONDS, Reembed
from memory_grpc.store import embeddings
from memory_grpc.store import reembedding as reembedding_store
from memory_layer.v1 import embedding_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningServer, StartServer

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]

STATE = "select state, embedded, last_error from reembeddings"
NEW_VECTORS = "select tenant_id, count(*) from message_embeddings where model_id = 2 group by 1 order by 1"


@pytest_asyncio.fixture
async def server(start_server: StartServer, rows: Rows) -> AsyncIterator[RunningServer]:
    """A server with two models and five messages of three tenants each, whose own job has nothing to do: another
    server, as it seems, has the lease."""
    async with start_server(embedding_next_dimensions=96) as started:
        for tenant in ("a", "b", "c"):
            requests = [
                pb.IngestMessageRequest(tenant_id=tenant, conversation_id="c", role="user", content=f"number {n}")
                for n in range(5)
            ]
            await started.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=requests))
        rows("insert into leases values (%s, %s, now() + interval '1 hour')", LEASE, uuid4())
        await started.embedding.StartReembedding(embedding_service_pb2.StartReembeddingRequest())
        yield started


def job(server: RunningServer, name: str = "another lease") -> Reembed:
    models = server.application.operations.reembeddings._models
    return Reembed(server.database, Lease(server.database, name, uuid4(), LEASE_SECONDS), models)


async def test_it_is_left_to_the_server_that_has_the_lease(server: RunningServer, rows: Rows) -> None:
    await job(server, LEASE)()
    assert rows(STATE) == [("running", 0, None)]
    await job(server)()
    assert rows(STATE) == [("ready", 15, None)]


async def test_a_tenant_that_fails_keeps_no_other_from_its_turn_but_the_whole_from_being_ready(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = embeddings.insert_many

    async def fails_for_a(tx: Any, tenant_id: str, *arguments: Any) -> None:
        if tenant_id == "a":
            raise psycopg.errors.CheckViolation("no room for what a said")
        await insert(tx, tenant_id, *arguments)

    monkeypatch.setattr(embeddings, "insert_many", fails_for_a)
    reembedding = job(server)
    await reembedding()
    assert rows(NEW_VECTORS) == [("b", 5), ("c", 5)]
    assert rows(STATE) == [("running", 10, "CheckViolation")]
    monkeypatch.setattr(embeddings, "insert_many", insert)
    await reembedding()
    assert rows(STATE)[0][0] == "running", "tenants are not gone through again at once"
    await job(server)()
    assert rows(NEW_VECTORS) == [("a", 5), ("b", 5), ("c", 5)]
    assert rows(STATE) == [("ready", 15, None)]


async def test_old_vectors_of_the_others_go_where_those_of_one_tenant_cannot(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = "select distinct tenant_id from message_embeddings where model_id = 1 order by 1"
    await job(server)()
    await server.embedding.CutOverReembedding(embedding_service_pb2.CutOverReembeddingRequest(reembedding_id=1))
    remove = embeddings.remove_others

    async def fails_for_a(tx: Any, tenant_id: str, *arguments: Any) -> None:
        if tenant_id == "a":
            raise StoreUnavailable
        await remove(tx, tenant_id, *arguments)

    monkeypatch.setattr(embeddings, "remove_others", fails_for_a)
    await job(server)()
    assert rows(old) == [("a",)]
    assert rows(STATE) == [("cut_over", 15, "StoreUnavailable")]
    monkeypatch.setattr(embeddings, "remove_others", remove)
    await job(server)()
    assert rows(old) == []
    assert rows(STATE)[0][0] == "done"


async def test_a_model_that_is_down_is_everybody_s_trouble(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    async def down(*args: Any, **fields: Any) -> None:
        nonlocal tried
        tried += 1
        raise ProviderDown

    monkeypatch.setattr("memory_grpc.embedding.Embedder.embed_messages", down)
    with pytest.raises(ProviderDown):
        await job(server)()
    assert tried == 1
    assert rows(STATE) == [("running", 0, "ProviderDown")]


async def test_a_server_that_lost_the_lease_stores_nothing(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = embeddings.insert_many

    async def slow(*arguments: Any) -> None:
        await insert(*arguments)
        # In the middle of the transaction, as one that was stopped there and is woken.
        rows("update leases set holder = %s where name = 'another lease'", UUID(int=1))

    monkeypatch.setattr(embeddings, "insert_many", slow)
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(job(server)(), 20)
    assert rows(NEW_VECTORS) == []
    assert rows(STATE) == [("running", 0, None)]


async def test_what_fails_on_the_way_out_does_not_hide_why(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*args: Any, **fields: Any) -> None:
        raise StoreUnavailable("on the way out")

    async def down(*args: Any, **fields: Any) -> None:
        monkeypatch.setattr(reembedding_store, "note_error", fails)
        monkeypatch.setattr("memory_grpc.store.leases.release", fails)
        raise ProviderDown("the cause")

    monkeypatch.setattr("memory_grpc.embedding.Embedder.embed_messages", down)
    with pytest.raises(ProviderDown, match="the cause"):
        await job(server)()

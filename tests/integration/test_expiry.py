"""Pinned messages stay; expired ones are shown nowhere, and erased by the next sweep."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from memory_grpc.store.tenant_tables import TENANT_TABLES
from memory_layer.v1 import listing_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningRest, RunningServer, StartServer
from tests.integration.test_ingest import message
from tests.integration.test_retention import run, sweep

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]
# The clock is the database's: an expiry is moved to the past instead, in every place where it stands.
EXPIRE = (
    "update messages set expires_at = now() - interval '1 second' where id = %s",
    "update message_embeddings set expires_at = now() - interval '1 second' where message_id = %s",
)


def expire(rows: Rows, message_id: str) -> None:
    for statement in EXPIRE:
        rows(statement, message_id)


def old(content: str, days: float = 40, **fields: Any) -> pb.IngestMessageRequest:
    request = message(content, **fields)
    request.created_at.FromDatetime(datetime.now(UTC) - timedelta(days=days))
    return request


async def code(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), refused.value.details() or ""


async def found(server: RunningServer, **fields: Any) -> list[pb.MemoryHit]:
    request = pb.SearchMemoriesRequest(**({"tenant_id": "acme", "query": "I love Python", "top_k": 100} | fields))
    return list((await server.memory.SearchMemories(request)).items)


async def test_what_is_pinned_is_never_archived(server: RunningServer, rows: Rows) -> None:
    pinned = await server.memory.IngestMessage(old("kept", pinned=True))
    plain = await server.memory.IngestMessage(old("gone"))
    assert pinned.pinned
    assert not plain.HasField("pinned")
    for dry_run in (True, False):
        counts = await server.admin.RunRetention(run(dry_run=dry_run))
        assert (counts.archived, counts.deleted) == (1, 0)
    fetched = await server.memory.GetMessage(pb.GetMessageRequest(message_id=pinned.id))
    assert fetched == pinned
    # Archived first and pinned then, it is not deleted from the archive.
    rows("update messages set archived_at = now() - interval '1 year', pinned = true where id = %s", plain.id)
    assert (await server.admin.RunRetention(run())).deleted == 0


@pytest.mark.parametrize("ranking", ["semantic", "hybrid"])
async def test_from_that_moment_on_no_path_shows_it(server: RunningServer, rows: Rows, ranking: str) -> None:
    here = await server.memory.IngestMessage(message("I love Python a lot"))
    going = await server.memory.IngestMessage(message("I love Python", ttl_seconds=3600, user_id="u-1"))
    assert going.expires_at.ToDatetime() - going.updated_at.ToDatetime() == timedelta(hours=1)
    assert {hit.message_id for hit in await found(server, ranking=ranking)} == {here.id, going.id}
    before = datetime.now(UTC)

    expire(rows, going.id)

    hits = await found(server, ranking=ranking, neighbours=5, include_archived=True)
    assert [hit.message_id for hit in hits] == [here.id]
    assert not hits[0].neighbours.after
    assert await found(server, ranking=ranking, user_id="u-1") == []
    assert await found(server, ranking=ranking, filter='user_id = "u-1" AND metadata.a != "b"') == []
    assert (await code(server.memory.GetMessage(pb.GetMessageRequest(message_id=going.id))))[0] is (
        grpc.StatusCode.NOT_FOUND
    )
    listed = await server.memory.ListMessages(listing_pb2.ListMessagesRequest(tenant_id="acme", include_total=True))
    assert ([m.id for m in listed.messages], listed.total_size) == ([here.id], 1)
    assert not (await server.memory.ListUsers(listing_pb2.ListUsersRequest(tenant_id="acme"))).users
    # As of a moment before its end it is there, as long as it exists.
    then = pb.SearchMemoriesRequest(tenant_id="acme", query="I love Python", ranking=ranking)
    then.as_of.FromDatetime(before)
    rows("update messages set expires_at = %s where id = %s", before + timedelta(microseconds=1), going.id)
    rows(
        "update message_embeddings set expires_at = %s where message_id = %s",
        before + timedelta(microseconds=1),
        going.id,
    )
    assert going.id in {hit.message_id for hit in (await server.memory.SearchMemories(then)).items}
    then.as_of.FromDatetime(before + timedelta(microseconds=1))
    assert going.id not in {hit.message_id for hit in (await server.memory.SearchMemories(then)).items}


@pytest.mark.parametrize("archived", [False, True])
async def test_the_sweep_erases_it_with_all_there_is_of_it(
    start_server: StartServer, rows: Rows, archived: bool
) -> None:
    async with start_server(async_embeddings=True) as server:
        stays = await server.memory.IngestMessage(message("here", ttl_seconds=3600))
        going = await server.memory.IngestMessage(
            message("going", pinned=True, ttl_seconds=3600, request_id=str(uuid4()))
        )
        rows("insert into reembedding_backlog (tenant_id, message_id) values ('acme', %s)", going.id)
        rows(
            "insert into embedding_jobs (tenant_id, message_id, run_at) values ('acme', %s, now() + interval '1 day') "
            "on conflict do nothing",
            going.id,
        )
        if archived:
            rows("update messages set archived_at = now() where id = %s", going.id)
        expire(rows, going.id)
        dry = await server.admin.RunRetention(run(dry_run=True))
        assert (dry.archived, dry.deleted) == (0, 1)
        counts = await sweep(server)()
        assert counts is not None
        assert (counts.archived, counts.deleted) == (0, 1)
        for table in TENANT_TABLES:
            if table.message_column is not None:
                where = f"from {table.name} where {table.message_column} = %s"
                assert rows(f"select count(*) {where}", going.id) == [(0,)], table.name
        assert (await server.memory.GetMessage(pb.GetMessageRequest(message_id=stays.id))).id == stays.id


async def test_an_expired_message_is_erased_and_not_archived_before(server: RunningServer, rows: Rows) -> None:
    stored = await server.memory.IngestMessage(old("old and over", ttl_seconds=3600))
    expire(rows, stored.id)
    for dry_run in (True, False):
        counts = await server.admin.RunRetention(run(dry_run=dry_run))
        assert (counts.archived, counts.deleted) == (0, 1)


async def test_a_retry_after_the_end_stores_nothing(server: RunningServer, rows: Rows) -> None:
    request = message("once", request_id=str(uuid4()), ttl_seconds=3600)
    stored = await server.memory.IngestMessage(request)
    assert await server.memory.IngestMessage(request) == stored, "the end does not move on"
    expire(rows, stored.id)
    assert (await code(server.memory.IngestMessage(request)))[0] is grpc.StatusCode.NOT_FOUND
    assert rows("select count(*) from messages") == [(1,)]
    other = message("once", request_id=request.request_id, ttl_seconds=60)
    assert (await code(server.memory.IngestMessage(other)))[0] is grpc.StatusCode.ALREADY_EXISTS


async def test_an_end_that_cannot_be_is_refused_by_its_place(server: RunningServer, rows: Rows) -> None:
    past = message("over")
    past.expires_at.FromDatetime(datetime.now(UTC) - timedelta(seconds=1))
    both = message("both", ttl_seconds=5)
    both.expires_at.FromDatetime(datetime.now(UTC) + timedelta(days=1))
    for wrong, field in ((past, "expires_at"), (both, "ttl_seconds"), (message(ttl_seconds=0), "ttl_seconds")):
        status, text = await code(server.memory.IngestMessage(wrong))
        assert status is grpc.StatusCode.INVALID_ARGUMENT
        assert text.startswith(field), text
        batch = pb.BatchIngestMessagesRequest(messages=[message("fine"), wrong])
        status, text = await code(server.memory.BatchIngestMessages(batch))
        assert (status, text.startswith(f"messages[1].{field}")) == (grpc.StatusCode.INVALID_ARGUMENT, True), text

        async def stream(last: pb.IngestMessageRequest = wrong) -> AsyncIterator[pb.StreamIngestRequest]:
            for one in (message("fine"), last):
                yield pb.StreamIngestRequest(message=one)

        status, text = await code(anext(_drained(server, stream())))
        assert (status, text.startswith(f"messages[1].{field}")) == (grpc.StatusCode.INVALID_ARGUMENT, True), text
    assert {content for (content,) in rows("select content from messages")} == {"fine"}


async def _drained(server: RunningServer, requests: Any) -> AsyncIterator[None]:
    async for _ in server.memory.StreamIngest(requests):
        pass
    yield


async def test_over_rest(rest: RunningRest) -> None:
    body = {"tenant_id": "acme", "conversation_id": "c", "role": "user", "content": "x"}
    pinned = (await rest.http.post("/v1/messages", json=body | {"pinned": True, "ttl_seconds": 60})).json()
    assert pinned["pinned"] is True
    assert pinned["expires_at"] > pinned["created_at"]
    plain = (await rest.http.post("/v1/messages", json=body)).json()
    assert not plain.keys() & {"pinned", "expires_at"}


async def test_a_retry_after_the_sweep_stores_nothing(server: RunningServer, rows: Rows) -> None:
    request = message("once", request_id=str(uuid4()), ttl_seconds=3600)
    stored = await server.memory.IngestMessage(request)
    expire(rows, stored.id)
    assert (await server.admin.RunRetention(run())).deleted == 1
    assert (await code(server.memory.IngestMessage(request)))[0] is grpc.StatusCode.NOT_FOUND
    assert rows("select count(*) from messages") == [(0,)]
    assert rows("select count(*) from idempotency_keys") == [(0,)]

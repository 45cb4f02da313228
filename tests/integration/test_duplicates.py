"""What was said before is stored once, where that is asked for, however many say it at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningRest, RunningServer, StartServer
from tests.integration.test_expiry import code, expire
from tests.integration.test_ingest import eventually, message

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]
COUNT = "select count(*) from messages"


def once(content: str = "yes", at: datetime | None = None, **fields: Any) -> pb.IngestMessageRequest:
    request = message(content, **({"on_duplicate": "return_existing", "embed_later": True} | fields))
    if at is not None:
        request.created_at.FromDatetime(at)
    return request


async def test_the_same_is_stored_once_and_what_differs_by_itself(server: RunningServer, rows: Rows) -> None:
    first = await server.memory.IngestMessage(once())
    assert (await server.memory.IngestMessage(once(metadata={"other": 1}))).id == first.id
    others = [
        once("Yes"),
        once(role="assistant"),
        once(user_id="u-1"),
        once(conversation_id="c-2"),
        once(tenant_id="rival"),
        message("yes"),
    ]
    ids = {(await server.memory.IngestMessage(request)).id for request in others}
    assert len(ids - {first.id}) == len(others)
    assert rows(COUNT) == [(1 + len(others),)]


async def test_only_within_the_window_before(server: RunningServer, rows: Rows) -> None:
    now = datetime.now(UTC) - timedelta(days=1)
    first = await server.memory.IngestMessage(once(at=now))
    for at, window, is_there in (
        (now + timedelta(seconds=60), 60, True),
        (now, 1, True),
        (now - timedelta(seconds=1), 3600, False),
        (now + timedelta(seconds=61), 60, False),
    ):
        stored = await server.memory.IngestMessage(once(at=at, duplicate_window_seconds=window))
        assert (stored.id == first.id) == is_there, at - now
        rows("delete from messages where id <> %s", first.id)
    expire(rows, first.id)
    assert (await server.memory.IngestMessage(once(at=now))).id != first.id, "what has expired is not there"


async def test_in_a_batch_the_later_ones_are_the_first(server: RunningServer, rows: Rows) -> None:
    before = await server.memory.IngestMessage(once("before"))
    sent = [once("a"), once("before"), message("a", embed_later=True), once("a"), once("b"), once("a")]
    batch = await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=sent))
    ids = [m.id for m in batch.messages]
    assert ids[1] == before.id
    assert ids[0] == ids[3] == ids[5]
    assert len(set(ids)) == 4
    assert list(batch.repeated_indexes) == [1, 3, 5]
    assert rows(COUNT) == [(4,)]


async def test_a_request_id_stands_for_the_message_that_was_there(server: RunningServer, rows: Rows) -> None:
    first = await server.memory.IngestMessage(once())
    request = once(request_id=str(uuid4()))
    assert (await server.memory.IngestMessage(request)).id == first.id
    rows("update messages set created_at = created_at - interval '1 year'")
    assert (await server.memory.IngestMessage(request)).id == first.id, "a retry, whatever the window"
    other = once("no", request_id=request.request_id)
    assert (await code(server.memory.IngestMessage(other)))[0] is grpc.StatusCode.ALREADY_EXISTS
    twins = [once("twin", request_id=str(uuid4())) for _ in range(2)]
    batch = await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=twins))
    again = await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=twins))
    assert [m.id for m in again.messages] == [m.id for m in batch.messages]
    assert len({m.id for m in batch.messages}) == 1


async def test_of_calls_at_the_same_time_one_stores_it(start_server: StartServer, rows: Rows) -> None:
    async with start_server() as one, start_server() as two:
        calls = [server.memory.IngestMessage(once(f"text {n % 3}")) for n in range(30) for server in (one, two)]
        batches = [
            server.memory.BatchIngestMessages(
                pb.BatchIngestMessagesRequest(messages=[once(f"text {n}") for n in order])
            )
            for server in (one, two)
            for order in ((0, 1, 2), (2, 1, 0))
        ]
        stored = await asyncio.gather(*calls)
        await asyncio.gather(*batches)
    assert len({m.id for m in stored}) == 3
    assert rows(COUNT) == [(3,)]


async def test_what_was_stored_while_a_call_waited_was_said_before(server: RunningServer, dsn: str, rows: Rows) -> None:
    """The call's transaction began before: the time it began at is not the time it looks back from."""
    first = await server.memory.IngestMessage(once())
    waiting = "select 1 from pg_locks where relation = 'messages'::regclass and not granted"
    async with await psycopg.AsyncConnection.connect(dsn) as other:
        await other.execute("lock table messages in access exclusive mode")
        call = asyncio.ensure_future(server.memory.IngestMessage(once()))
        await eventually(lambda: bool(rows(waiting)))
        await other.execute("update messages set created_at = clock_timestamp()")
        await other.commit()
    assert (await call).id == first.id


async def test_over_rest(rest: RunningRest) -> None:
    body = {
        "tenant_id": "acme",
        "conversation_id": "c",
        "role": "user",
        "content": "x",
        "on_duplicate": "return_existing",
    }
    first = await rest.http.post("/v1/messages", json=body)
    again = await rest.http.post("/v1/messages", json=body)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["x-repeated"] == "true"
    assert "x-repeated" not in first.headers
    assert (await rest.http.post("/v1/messages", json=body | {"on_duplicate": "drop"})).status_code == 400

"""DeleteMessage: what is erased, that it stays erased, and what is left alone."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from memory_grpc.store import erasure
from memory_grpc.store.tenant_tables import TENANT_TABLES
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import revision_pb2, transfer_service_pb2
from tests.cli import Cli
from tests.conftest import RunningRest, RunningServer
from tests.integration.test_ingest import message
from tests.projections import ADRIFT

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]


def of(message_id: str, tenant_id: str = "acme") -> pb.DeleteMessageRequest:
    return pb.DeleteMessageRequest(message_id=message_id, tenant_id=tenant_id)


def held(rows: Rows, message_id: str) -> dict[str, int]:
    """How many rows each table holds of a message."""
    return {
        table.name: rows(f"select count(*) from {table.name} where {table.message_column} = %s", message_id)[0][0]
        for table in TENANT_TABLES
        if table.message_column is not None
    }


async def everywhere(server: RunningServer, rows: Rows, **fields: Any) -> str:
    """The id of a message that every table of messages holds something of."""
    stored = await server.memory.IngestMessage(message("my secret", request_id=str(uuid4()), **fields))
    await server.memory.UpdateMessage(
        revision_pb2.UpdateMessageRequest(tenant_id="acme", message_id=stored.id, content="my other secret")
    )
    rows("insert into embedding_jobs (tenant_id, message_id, run_at) values ('acme', %s, 'infinity')", stored.id)
    rows("insert into reembedding_backlog (tenant_id, message_id, attempts) values ('acme', %s, 9)", stored.id)
    rows(
        "insert into erasures (tenant_id, id, scope, state, planned_by, expires_at) "
        "values ('acme', %s, 'user', 'planned', 'none', now() + interval '1 hour')",
        stored.id,
    )
    rows("insert into erasure_items (tenant_id, erasure_id, message_id) values ('acme', %s, %s)", stored.id, stored.id)
    return str(stored.id)


async def refused(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code()


@pytest.mark.parametrize("archived", [False, True])
async def test_a_deleted_message_is_in_no_table_and_others_are_whole(
    server: RunningServer, rows: Rows, archived: bool
) -> None:
    gone, kept = await everywhere(server, rows), await everywhere(server, rows)
    before = held(rows, kept)
    assert all(held(rows, gone).values()), "a new table of messages needs a row here"
    if archived:
        rows("update messages set archived_at = now() where id = %s", gone)
    assert (await server.memory.DeleteMessage(of(gone))).message_id == gone
    assert not any(held(rows, gone).values())
    assert held(rows, kept) == before
    assert rows(ADRIFT) == [(0,)]
    assert await refused(server.memory.GetMessage(pb.GetMessageRequest(message_id=gone))) is grpc.StatusCode.NOT_FOUND
    found = await server.memory.SearchMemories(
        pb.SearchMemoriesRequest(tenant_id="acme", query="my secret", include_archived=True)
    )
    assert [hit.message_id for hit in found.items] == [kept]


async def test_a_repeat_and_an_unknown_id_and_another_tenants_are_not_found_and_noted_nowhere(
    server: RunningServer, rows: Rows
) -> None:
    stored = await server.memory.IngestMessage(message("mine"))
    for request in (of(str(uuid4())), of(stored.id, "rival")):
        assert await refused(server.memory.DeleteMessage(request)) is grpc.StatusCode.NOT_FOUND
    assert rows("select count(*) from erased_messages") == [(0,)]
    assert rows("select count(*) from messages") == [(1,)]
    await server.memory.DeleteMessage(of(stored.id.upper()))
    assert await refused(server.memory.DeleteMessage(of(stored.id))) is grpc.StatusCode.NOT_FOUND


async def test_a_digest_of_each_id_is_left_and_no_id(server: RunningServer, rows: Rows) -> None:
    request_id = str(uuid4())
    stored = await server.memory.IngestMessage(message("mine", request_id=request_id))
    await server.memory.DeleteMessage(of(stored.id))
    left = {bytes(digest): kind for digest, kind in rows("select digest, kind from erased_messages")}
    assert left == {
        hashlib.sha256(f"{kind} {id_} acme".encode()).digest(): kind
        for kind, id_ in (("message", stored.id), ("request", request_id))
    }
    async with server.database.transaction(tenant="acme") as tx:
        among = await erasure.erased_among(tx, "acme", "message", [UUID(stored.id), uuid4(), UUID(request_id)])
        assert await among.get() == {UUID(stored.id)}
    async with server.database.transaction(tenant="rival") as tx:
        assert await (await erasure.erased_among(tx, "rival", "message", [UUID(stored.id)])).get() == set()


@pytest.mark.parametrize("keep", [False, True])
async def test_a_retry_does_not_bring_it_back(server: RunningServer, rows: Rows, keep: bool) -> None:
    request = message("mine", request_id=str(uuid4()), keep_request_id=keep)
    stored = await server.memory.IngestMessage(request)
    await server.memory.DeleteMessage(of(stored.id))
    assert await refused(server.memory.IngestMessage(request)) is grpc.StatusCode.NOT_FOUND
    both = pb.BatchIngestMessagesRequest(messages=[message("new", request_id=str(uuid4())), request])
    assert await refused(server.memory.BatchIngestMessages(both)) is grpc.StatusCode.NOT_FOUND
    assert rows("select count(*) from messages") == [(0,)]
    assert rows("select count(*) from idempotency_keys") == [(0,)]
    # Of the same tenant, but with a request id that was never used; and the same request id in another tenant.
    await server.memory.IngestMessage(message("mine", request_id=str(uuid4())))
    await server.memory.IngestMessage(message("mine", tenant_id="rival", request_id=request.request_id))


async def test_an_older_export_does_not_bring_it_back(server: RunningServer, rows: Rows) -> None:
    ids = [(await server.memory.IngestMessage(message(f"mine {n}"))).id for n in range(3)]
    export = server.transfer.Export(transfer_service_pb2.ExportRequest(tenant_id="acme"))
    sent = [record.message async for record in export if record.HasField("message")]
    await server.memory.DeleteMessage(of(ids[0]))
    rows("delete from messages where id = %s", ids[1])
    again = await server.transfer.Import(transfer_service_pb2.ImportRequest(tenant_id="acme", messages=sent))
    assert (again.stored, list(again.erased_indexes), list(again.repeated_indexes)) == (1, [0], [2])
    assert {str(id_) for (id_,) in rows("select id from messages")} == {*ids[1:]}
    # Another tenant has erased nothing.
    other = await server.transfer.Import(transfer_service_pb2.ImportRequest(tenant_id="rival", messages=sent))
    assert other.stored == 3


async def test_retries_and_deletions_at_the_same_time_leave_nothing_behind(server: RunningServer, rows: Rows) -> None:
    async def settle(call: Any) -> Any:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND
            return None

    for number in range(30):
        request = message(f"mine {number}", request_id=str(uuid4()))
        stored = await server.memory.IngestMessage(request)
        retries = [settle(server.memory.IngestMessage(request)) for _ in range(6)]
        deletions = [settle(server.memory.DeleteMessage(of(stored.id))) for _ in range(2)]
        answers = await asyncio.gather(*retries[:3], *deletions, *retries[3:])
        assert sum(answer is not None for answer in answers[3:5]) == 1, "one of two erases"
        assert {answer.id for answer in (*answers[:3], *answers[5:]) if answer is not None} <= {stored.id}
    assert rows("select count(*) from messages") == [(0,)]
    assert rows("select count(*) from idempotency_keys") == [(0,)]


async def test_a_message_that_is_being_embedded_can_be_deleted(server: RunningServer, rows: Rows) -> None:
    for _ in range(20):
        stored = await server.memory.IngestMessage(message("later", embed_later=True))
        await server.memory.DeleteMessage(of(stored.id))
    for table in ("messages", "message_embeddings", "message_lexemes", "embedding_jobs", "reembedding_backlog"):
        assert rows(f"select count(*) from {table}") == [(0,)], table


async def test_over_rest(rest: RunningRest, rows: Rows) -> None:
    stored = await rest.server.memory.IngestMessage(message("mine"))
    path = f"/v1/messages/{stored.id}"
    assert (await rest.http.delete(path)).status_code == 400
    response = await rest.http.delete(path, params={"tenant_id": "acme"})
    assert (response.status_code, response.json()) == (200, {"message_id": stored.id})
    again = await rest.http.delete(path, params={"tenant_id": "acme"})
    assert (again.status_code, again.json()["details"][0]["reason"]) == (404, "NOT_FOUND")
    assert (await rest.http.delete("/v1/messages/nonsense", params={"tenant_id": "acme"})).status_code == 400
    assert rows("select count(*) from messages") == [(0,)]


async def test_from_the_command_line(server: RunningServer, cli: Cli, rows: Rows) -> None:
    stored = [(await server.memory.IngestMessage(message(f"mine {n}"))).id for n in range(3)]
    address = ("--address", server.grpc_address)
    done = await cli("delete", "--tenant", "acme", *stored[:2], *address)
    assert (done.code, done.out) == (0, "acme: 2 erased.\n")
    again = await cli("delete", "--tenant", "acme", *stored[1:], *address, "--json")
    assert (again.code, again.err) == (1, f"{stored[1]}: nothing is stored under that id.\n")
    assert f'"erased": [\n    "{stored[2]}"' in again.out
    assert (await cli("delete", "--tenant", "acme", "nonsense", *address)).code == 2
    assert rows("select count(*) from messages") == [(0,)]

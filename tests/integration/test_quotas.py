"""How much a tenant may store: by every way in, by several callers and servers at once, and who says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from memory_grpc.domain.policy import Policy, StorageQuota
from memory_grpc.errors import QuotaExceeded
from memory_grpc.observability import metrics
from memory_grpc.operations.policy import quotas
from memory_grpc.services.convert import timestamp
from memory_grpc.store.database import Database
from memory_layer.v1 import key_service_pb2, policy_pb2, revision_pb2, transfer_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.policy_service_pb2 import GetTenantPolicyRequest, SetTenantPolicyRequest
from tests.conftest import RunningServer, StartServer
from tests.integration.test_cli import Cli

pytestmark = pytest.mark.asyncio
Rows = Callable[..., list[tuple[Any, ...]]]
ROOT = "root-key-of-this-test"


def message(content: str = "turn", **fields: Any) -> pb.IngestMessageRequest:
    return pb.IngestMessageRequest(
        **({"tenant_id": "acme", "conversation_id": "c", "role": "user", "content": content} | fields)
    )


async def allow(server: RunningServer, **quota: int) -> None:
    await server.policy.SetTenantPolicy(
        SetTenantPolicyRequest(tenant_id="acme", quota=policy_pb2.StorageQuota(**quota))
    )


async def refused(call: Any) -> None:
    """The call gets what a quota gives, and is not told to come back."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert_exceeded(caught.value)


def assert_exceeded(error: grpc.aio.AioRpcError) -> None:
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "retry-after" not in dict(error.trailing_metadata() or ())
    status: Any = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "QUOTA_EXCEEDED"


async def until_stored(server: RunningServer, request: pb.IngestMessageRequest) -> None:
    """Returns once a message is taken in that is refused meanwhile."""
    async with asyncio.timeout(20):
        while True:
            try:
                await server.memory.IngestMessage(request)
            except grpc.aio.AioRpcError as error:
                assert_exceeded(error)
                await asyncio.sleep(0.05)
            else:
                return


def refusals() -> float:
    """Calls that quotas have refused so far, as the metric counts them."""
    return metrics.CALLS_LIMITED.labels("quota")._value.get()


def count(rows: Rows) -> int:
    return int(rows("select count(*) from messages where tenant_id = 'acme'")[0][0])


async def test_no_way_in_leads_past_the_quota_and_deleting_makes_room(start_server: StartServer, rows: Rows) -> None:
    async with start_server() as server:
        await allow(server, max_messages=5)
        first = message(request_id=str(uuid4()))
        stored = await server.memory.IngestMessage(first)
        await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=[message(), message()]))

        batch = pb.BatchIngestMessagesRequest(messages=[message()] * 3)
        await refused(server.memory.BatchIngestMessages(batch))
        assert count(rows) == 3, "all or none"

        async def four() -> AsyncIterator[pb.StreamIngestRequest]:
            for number in range(4):
                yield pb.StreamIngestRequest(message=message(f"turn {number}"))

        before = refusals()
        stream = server.memory.StreamIngest(four())
        acknowledged = []
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            async for answer in stream:
                acknowledged.append(answer)
        assert_exceeded(ended.value)
        assert (len(acknowledged), count(rows)) == (2, 5)
        assert refusals() == before + 1, "one call, however often it was tried"

        now = timestamp(datetime.now(UTC))
        one = transfer_service_pb2.TransferMessage(
            id=str(uuid4()),
            conversation_id="c",
            role="user",
            content="x",
            importance=0.5,
            created_at=now,
        )
        await refused(server.transfer.Import(transfer_service_pb2.ImportRequest(tenant_id="acme", messages=[one])))
        await refused(server.memory.IngestMessage(message()))
        assert (await server.memory.IngestMessage(first)).id == stored.id, "a retry stores nothing"
        await server.memory.IngestMessage(message(tenant_id="globex"))

        delete = pb.DeleteMessageRequest(tenant_id="acme", message_id=stored.id)
        await server.memory.DeleteMessage(delete)
        await until_stored(server, message())
        await refused(server.memory.IngestMessage(message()))
        assert count(rows) == 5
        await allow(server, max_messages=0)
        await server.memory.IngestMessage(message())


async def test_an_import_that_is_sent_again_is_answered_at_a_full_quota(start_server: StartServer) -> None:
    async with start_server() as server:
        await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=[message(), message()]))
        await allow(server, max_messages=2)
        records = [r async for r in server.transfer.Export(transfer_service_pb2.ExportRequest(tenant_id="acme"))]
        assert not any(record.HasField("policy") for record in records), "a quota is no part of a memory"
        sent = [record.message for record in records if record.HasField("message")]
        again = await server.transfer.Import(transfer_service_pb2.ImportRequest(tenant_id="acme", messages=sent))
        assert (again.stored, list(again.repeated_indexes)) == (0, [0, 1])


async def test_an_update_needs_room_for_what_it_keeps(start_server: StartServer, rows: Rows) -> None:
    async with start_server() as server:
        await allow(server, max_bytes=2500)
        stored = await server.memory.IngestMessage(message("é" * 500))
        await server.memory.IngestMessage(message("d" * 100))

        def update(**fields: Any) -> Any:
            return server.memory.UpdateMessage(
                revision_pb2.UpdateMessageRequest(tenant_id="acme", message_id=stored.id, **fields)
            )

        await update(content="b" * 1000)
        await refused(update(content="c" * 1000))
        await refused(update(pinned=True))
        await refused(server.memory.IngestMessage(message("d" * 400)))
        assert rows("select count(*) from message_revisions") == [(1,)]
        await server.memory.IngestMessage(message("d" * 300, metadata={"k": "v" * 10}))
        await server.memory.DeleteMessage(pb.DeleteMessageRequest(tenant_id="acme", message_id=stored.id))
        await until_stored(server, message("e" * 1900))


@pytest.mark.parametrize("way", ["update", "import"])
async def test_nobody_is_refused_by_an_old_figure(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """What an update or an import keeps of revisions is known only when they have read it."""
    monkeypatch.setattr(quotas, "DOUBT_SECONDS", 0.0)
    monkeypatch.setattr(quotas, "DOUBT_TIMES", 0.0)
    async with start_server() as server:
        await allow(server, max_bytes=2500)
        stored = await server.memory.IngestMessage(message("a" * 1000))
        one = revision_pb2.UpdateMessageRequest(tenant_id="acme", message_id=stored.id, content="b")
        if way == "import":
            await server.memory.UpdateMessage(one)
            export = transfer_service_pb2.ExportRequest(tenant_id="acme")
            sent = [r.message async for r in server.transfer.Export(export) if r.HasField("message")]
        await server.memory.IngestMessage(message("c" * 1000))
        # As another server does it, which this one does not hear of.
        rows("delete from messages where left(content, 1) = 'c'")
        before = refusals()
        if way == "import":
            rows("delete from messages")
            request = transfer_service_pb2.ImportRequest(tenant_id="acme", messages=sent)
            assert (await server.transfer.Import(request)).stored == 1
        else:
            pin = revision_pb2.UpdateMessageRequest(tenant_id="acme", message_id=stored.id, pinned=True)
            await server.memory.UpdateMessage(pin)
        assert rows("select count(*) from message_revisions") == [(1,)]
        assert refusals() == before, "it was let in"
        one.content = "d" * 2000
        await refused(server.memory.UpdateMessage(one))
        assert refusals() == before + 1


async def test_what_comes_at_once_fills_the_quota_to_the_message(start_server: StartServer, rows: Rows) -> None:
    async with start_server() as server:
        await allow(server, max_messages=20)
        calls = [server.memory.IngestMessage(message(f"turn {number}")) for number in range(40)]
        calls += [
            server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=[message()] * 3)) for _ in range(5)
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        for answer in answers:
            if isinstance(answer, grpc.aio.AioRpcError):
                assert_exceeded(answer)
        assert 0 < count(rows) <= 20
        # What ended while it was counted may have been counted twice: refusals have it counted again.
        while count(rows) < 20:
            await until_stored(server, message("more"))
        await refused(server.memory.IngestMessage(message("more")))
        assert count(rows) == 20


async def test_what_is_stored_while_it_is_counted_counts(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    class Known:
        async def get(self, tenant_id: str) -> Policy:
            return Policy(quota=StorageQuota(max_messages=20))

    now, told, asked = 0.0, asyncio.Event(), asyncio.Event()

    async def messages(*_: object) -> int:
        asked.set()
        await told.wait()
        return 10

    monkeypatch.setattr(quotas.quotas, "messages", messages)
    of_tenants = quotas.Quotas(database, cast(Any, Known()), lambda: now)
    ten = [quotas.Text("x", {})] * 10
    told.set()
    async with of_tenants.room("acme", ten) as room:
        await room.take(ten)
        told.clear()
        asked.clear()
        now = 1.5
        late = asyncio.ensure_future(of_tenants.check("acme", ten))
        await asyncio.wait_for(asked.wait(), 10)
    told.set()
    with pytest.raises(QuotaExceeded):
        await late


async def test_a_server_hears_of_what_others_store(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "RECOUNT_SECONDS", 0.0)
    monkeypatch.setattr(quotas, "RECOUNT_TIMES", 0.0)
    monkeypatch.setattr(quotas, "DOUBT_SECONDS", 0.0)
    monkeypatch.setattr(quotas, "DOUBT_TIMES", 0.0)
    async with start_server() as one, start_server() as other:
        await allow(one, max_messages=20)
        await one.memory.IngestMessage(message())
        await other.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=[message()] * 19))

        async def is_refused() -> bool:
            try:
                await one.memory.IngestMessage(message())
            except grpc.aio.AioRpcError as error:
                assert_exceeded(error)
                return True
            return False

        async with asyncio.timeout(20):
            while not await is_refused():
                pass
        assert count(rows) < 40


async def test_who_administers_a_tenant_keeps_its_quota_and_cannot_change_it(start_server: StartServer) -> None:
    async with start_server(api_keys=ROOT, quota_max_bytes=10**9) as server:
        root = [("x-api-key", ROOT)]
        make = key_service_pb2.CreateApiKeyRequest(label="l", role="admin", tenant_ids=["acme"])
        own = [("x-api-key", (await server.key.CreateApiKey(make, metadata=root)).key)]

        async def set_(metadata: Any, **fields: Any) -> Any:
            return await server.policy.SetTenantPolicy(
                SetTenantPolicyRequest(tenant_id="acme", **fields), metadata=metadata
            )

        quota = policy_pb2.StorageQuota(max_messages=7)
        given = await set_(root, quota=quota)
        assert (given.quota.max_messages, given.quota.max_bytes) == (7, 10**9)
        assert list(given.overrides) == ["quota.max_messages"]
        assert (await set_(own, ranking="hybrid")).quota == given.quota
        again = await set_(own, quota=given.quota)
        assert again.quota == given.quota, "what is sent back as it was read"
        assert list(again.overrides) == ["quota.max_messages"], "and no more of it is the tenant's own"
        for more in (policy_pb2.StorageQuota(max_messages=8), policy_pb2.StorageQuota()):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await set_(own, quota=more)
            assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
        read = await server.policy.GetTenantPolicy(GetTenantPolicyRequest(tenant_id="acme"), metadata=own)
        assert read.quota == given.quota
        assert (await set_(root, quota=policy_pb2.StorageQuota())).quota.max_messages == 0


async def test_a_quota_that_is_being_changed_is_not_undone_by_who_keeps_it(
    start_server: StartServer, dsn: str, rows: Rows
) -> None:
    waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted"
    async with start_server() as server:
        await allow(server, max_messages=100)
        async with await psycopg.AsyncConnection.connect(dsn) as other:
            await other.execute("select pg_advisory_xact_lock(7214, hashtext('acme'))")
            await other.execute("update tenant_policies set quota_max_messages = 5 where tenant_id = 'acme'")
            values = SetTenantPolicyRequest(tenant_id="acme", ranking="hybrid")
            call = asyncio.ensure_future(server.policy.SetTenantPolicy(values))
            async with asyncio.timeout(10):
                while rows(waiting) == [(0,)]:
                    await asyncio.sleep(0.02)
        policy = await call
        assert (policy.quota.max_messages, policy.ranking) == (5, "hybrid")


async def test_the_command_line_shows_and_sets_a_quota(start_server: StartServer, tmp_path: Any) -> None:
    cli = Cli(tmp_path)
    async with start_server() as server:
        at = ("--address", server.grpc_address)
        await cli("policy", "set", "--tenant", "acme", "--max-messages", "1000000", *at)
        shown = json.loads((await cli("policy", "set", "-t", "acme", "--max-bytes", "5000000000", "--json", *at)).out)
        assert shown["quota"] == {"max_messages": "1000000", "max_bytes": "5000000000"}
        assert "1000000 (the tenant's own)" in (await cli("policy", "show", "--tenant", "acme", *at)).out
        reset = json.loads((await cli("policy", "set", "--tenant", "acme", "--reset", "--json", *at)).out)
        assert reset["quota"] == shown["quota"]

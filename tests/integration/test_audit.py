"""Who did what: recorded before the answer, bounded where strangers cause it, only appended to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import grpc
import psycopg
import pytest

from memory_grpc.access import ANONYMOUS, Grant, Role
from memory_grpc.errors import StoreUnavailable
from memory_grpc.operations.audit.trail import DENIALS_PER_MINUTE, MOST_WAITING, Trail
from memory_grpc.store import audit
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import audit_service_pb2 as pb
from memory_layer.v1 import key_service_pb2 as keys
from memory_layer.v1 import memory_service_pb2 as memory
from memory_layer.v1 import policy_service_pb2 as policy
from memory_layer.v1 import transfer_service_pb2 as transfer
from tests.chaos.harness import until
from tests.conftest import RunningServer, StartRest, StartServer
from tests.integration.test_cli import Cli

Rows = Callable[..., list[tuple[Any, ...]]]
ROOT = "a root key of some length"
SECRET = "canary that nobody may see"


def sent(key: str, request_id: str = "") -> list[tuple[str, str]]:
    return [("x-api-key", key), *([("x-request-id", request_id)] if request_id else [])]


async def made(server: RunningServer, *tenants: str, role: str = "reader") -> tuple[str, str]:
    """A key's text, and who that is."""
    request = keys.CreateApiKeyRequest(label=SECRET, role=role, tenant_ids=tenants, all_tenants=not tenants)
    answer = await server.key.CreateApiKey(request, metadata=sent(ROOT))
    return answer.key, f"key:{answer.api_key.prefix}"


async def events(server: RunningServer, key: str = ROOT, **wanted: Any) -> list[pb.AuditEvent]:
    return list((await server.audit.ListEvents(pb.ListEventsRequest(**wanted), metadata=sent(key))).events)


async def code(call: Any) -> str:
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


def told(found: list[pb.AuditEvent]) -> list[tuple[str, str, str, str]]:
    return [(event.actor, event.action, event.outcome, event.tenant_id) for event in found]


@pytest.mark.asyncio
async def test_administration_is_recorded_before_it_is_answered(start_server: StartServer, rows: Rows) -> None:
    async with start_server(api_keys=["another key of some length", ROOT]) as server:
        recorded = "select actor, action, outcome, tenant_id, request_id from audit_events where action <> 'key.use'"
        request = policy.SetTenantPolicyRequest(tenant_id="acme", ranking="hybrid")
        await server.policy.SetTenantPolicy(request, metadata=sent(ROOT, "my-call"))
        assert rows(recorded) == [("setting:2", "PolicyService.SetTenantPolicy", "OK", "acme", "my-call")]
        wrong = admin.RunRetentionRequest(tenant_id="acme", actions=["archive", "archive"])
        assert await code(server.admin.RunRetention(wrong, metadata=sent(ROOT))) == "INVALID_ARGUMENT"
        await made(server, "acme", "rival")
        found = told(await events(server))
        assert found[:3] == [
            ("setting:2", "KeyService.CreateApiKey", "OK", "rival"),
            ("setting:2", "KeyService.CreateApiKey", "OK", "acme"),
            ("setting:2", "AdminService.RunRetention", "INVALID_ARGUMENT", "acme"),
        ]
        # To have looked is recorded too.
        assert told(await events(server))[0] == ("setting:2", "AuditService.ListEvents", "OK", "")


@pytest.mark.asyncio
async def test_an_export_is_recorded_before_its_first_line_and_an_erasure_too(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server(api_keys=[ROOT]) as server:
        recorded = (
            "select action, outcome, tenant_id from audit_events where action <> 'key.use' order by happened_at, id"
        )
        export = server.transfer.Export(transfer.ExportRequest(tenant_id="acme"), metadata=sent(ROOT))
        lines = aiter(export)
        await anext(lines)
        assert rows(recorded)[:1] == [("TransferService.Export", "STARTED", "acme")]
        assert [line async for line in lines] == []
        assert rows(recorded)[1:] == [("TransferService.Export", "OK", "acme")]
        gone = memory.DeleteMessageRequest(message_id=str(uuid4()), tenant_id="acme")
        assert await code(server.memory.DeleteMessage(gone, metadata=sent(ROOT))) == "NOT_FOUND"
        assert rows(recorded)[2:] == [("MemoryService.DeleteMessage", "NOT_FOUND", "acme")]


@pytest.mark.asyncio
async def test_without_keys_somebody_did_it(server: RunningServer) -> None:
    await server.policy.GetTenantPolicy(policy.GetTenantPolicyRequest(tenant_id="acme"))
    assert told(await events(server)) == [("anonymous", "PolicyService.GetTenantPolicy", "OK", "acme")]


@pytest.mark.asyncio
async def test_denials_and_the_use_of_keys_are_recorded_once(start_server: StartServer) -> None:
    async with start_server(api_keys=[ROOT]) as server:
        key, actor = await made(server, "acme")
        get = memory.GetMessageRequest(message_id=str(uuid4()), tenant_id="acme")
        search = memory.SearchMemoriesRequest(tenant_id="rival", query=SECRET)
        ingest = memory.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content=SECRET)
        for _ in range(3):
            assert await code(server.memory.GetMessage(get, metadata=sent(key))) == "NOT_FOUND"
            assert await code(server.memory.GetMessage(get, metadata=sent(SECRET))) == "UNAUTHENTICATED"
            assert await code(server.memory.SearchMemories(search, metadata=sent(key))) == "PERMISSION_DENIED"
            assert await code(server.memory.IngestMessage(ingest, metadata=sent(key))) == "PERMISSION_DENIED"
        expected = {
            (actor, "key.use", "OK", "acme"),
            ("anonymous", "MemoryService.GetMessage", "UNAUTHENTICATED", ""),
            (actor, "MemoryService.SearchMemories", "PERMISSION_DENIED", "rival"),
            (actor, "MemoryService.IngestMessage", "PERMISSION_DENIED", ""),
        }

        async def found() -> list[tuple[str, str, str, str]]:
            seen = [event for event in told(await events(server)) if not event[0].startswith("setting:")]
            return seen if len(seen) >= len(expected) else []

        seen = await until(found)
        assert set(seen) == expected
        assert len(seen) == len(expected)


@pytest.mark.asyncio
async def test_a_use_is_kept_once_an_hour_whatever_the_servers(database: Database, rows: Rows) -> None:
    servers = [Trail(database, uuid4, lambda: 5.0) for _ in range(2)]
    grant = Grant(Role.READER, frozenset({"acme"}), actor="key:1")
    for trail in (*servers, *servers):
        trail.use(grant, "r")
        trail.use(ANONYMOUS, "r")
        await trail.flush()
    assert rows("select actor, action, tenant_id from audit_events") == [("key:1", "key.use", "acme")]
    rows("alter table audit_events disable trigger append_only")
    rows("update audit_events set happened_at = happened_at - interval '61 minutes'")
    again = Trail(database, uuid4, lambda: 5.0)
    again.use(grant, "r")
    await again.flush()
    assert rows("select count(*) from audit_events") == [(2,)]


@pytest.mark.asyncio
async def test_a_tenant_s_administrator_sees_its_events_and_no_others(start_server: StartServer) -> None:
    async with start_server(api_keys=[ROOT]) as server:
        ours, _ = await made(server, "acme", role="admin")
        await made(server, "rival")
        await server.policy.GetTenantPolicy(policy.GetTenantPolicyRequest(tenant_id="rival"), metadata=sent(ROOT))
        found = await events(server, ours, tenant_id="acme")
        assert {event.tenant_id for event in found} == {"acme"}
        assert "KeyService.CreateApiKey" in {event.action for event in found}
        assert SECRET.encode() not in b"".join(event.SerializeToString() for event in found)
        for wanted in ({}, {"tenant_id": "rival"}):
            assert await code(events(server, ours, **wanted)) == "PERMISSION_DENIED"
        reader, _ = await made(server, "acme")
        assert await code(events(server, reader, tenant_id="acme")) == "PERMISSION_DENIED"


@pytest.mark.asyncio
async def test_events_are_filtered_and_paged_and_stay_where_they_are(start_rest: StartRest, cli: Cli) -> None:
    async with start_rest(api_keys=[ROOT]) as rest:
        server = rest.server
        trail = server.application.operations.trail
        for number in range(25):
            await trail.record(f"key:{number % 2}", f"Some.Call{number}", "OK", ["acme"], "r")

        async def page(token: str = "", **wanted: Any) -> dict[str, Any]:
            params = {"tenant_id": "acme", "actor": "key:1", "page_size": 5, "page_token": token} | wanted
            answer = await rest.http.get("/v1/admin/audit", params=params, headers=dict(sent(ROOT)))
            return dict(answer.json()) | {"status": answer.status_code}

        seen: list[str] = []
        token = ""
        while True:
            got = await page(token)
            seen += [event["action"] for event in got["events"]]
            await trail.record("key:1", "Some.Newer", "OK", ["acme"], "r")
            token = got["next_page_token"]
            if not token:
                break
        assert seen == [f"Some.Call{number}" for number in range(23, 0, -2)]
        first = await page()
        assert (await page(first["next_page_token"], actor="key:0"))["status"] == 400
        assert [event["action"] for event in (await page(action="Some.Call7"))["events"]] == ["Some.Call7"]
        moment = (await page(action="Some.Call7"))["events"][0]["happened_at"]
        assert (await page(happened_before=moment))["events"][0]["action"] == "Some.Call5"
        assert (await page(happened_after=moment, page_size=100))["events"][-1]["action"] == "Some.Call7"

        address = ["--address", server.grpc_address, "--api-key", ROOT]
        shown = await cli("audit", "--tenant", "acme", "--limit", "3", "--json", *address)
        assert [event["tenant_id"] for event in json.loads(shown.out)["events"]] == ["acme"] * 3
        shown = await cli("audit", "--action", "Some.Call7", *address)
        assert "key:1" in shown.out
        shown = await cli("audit", "--actor", "nobody", *address)
        assert shown.out == "Nothing is recorded.\n"


@pytest.mark.asyncio
@pytest.mark.parametrize("tenant", ["acme", EVERY_TENANT])
@pytest.mark.parametrize(
    "change", ["update audit_events set actor = 'x'", "delete from audit_events", "truncate audit_events"]
)
async def test_the_service_can_only_append(database: Database, tenant: Any, change: str) -> None:
    await Trail(database, uuid4, lambda: 0.0).record("a", "b", "OK", ["acme"], "r")
    async with database.transaction(tenant=tenant) as tx:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await tx._connection.execute(change.encode())
        await tx._connection.rollback()


@pytest.mark.parametrize("change", ["update audit_events set actor = 'x'", "truncate audit_events"])
def test_not_even_the_owner_changes_an_event_by_mistake(rows: Rows, change: str) -> None:
    rows("insert into audit_events (id, actor, action, outcome) values (gen_random_uuid(), 'a', 'b', 'OK')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only appended to"):
        rows(change)


@pytest.mark.asyncio
@pytest.mark.parametrize(("days", "left"), [(30, {1, 29}), (90, {1, 29, 31, 89}), (0, {1, 29})])
async def test_what_is_old_is_forgotten_and_never_the_last_thirty_days(
    database: Database, rows: Rows, days: float, left: set[int]
) -> None:
    for age in (1, 29, 31, 89, 91):
        rows(
            "insert into audit_events (id, happened_at, actor, action, outcome) "
            "values (gen_random_uuid(), now() - make_interval(days => %s), %s, 'b', 'OK')",
            age,
            str(age),
        )
    forgotten = []
    while not forgotten or forgotten[-1]:
        async with database.transaction(tenant=EVERY_TENANT) as tx:
            forgotten.append(await audit.expire(tx, days, 2))
    assert {int(actor) for (actor,) in rows("select actor from audit_events")} == left
    assert sum(forgotten) == 5 - len(left)


@pytest.mark.asyncio
async def test_a_flood_of_strangers_is_bounded_and_hides_no_caller_that_is_known(
    database: Database, rows: Rows
) -> None:
    now = 0.0
    trail = Trail(database, uuid4, lambda: now)
    for number in range(10 * DENIALS_PER_MINUTE):
        trail.deny("anonymous", f"S.M{number}", "UNAUTHENTICATED", [], "r")
    trail.deny("key:1", "S.M", "PERMISSION_DENIED", ["acme", "rival"], "r")
    trail.deny("key:1", "S.M", "PERMISSION_DENIED", ["acme"], "r")
    while await trail.flush():
        pass
    counts = rows("select actor, count(*) from audit_events group by 1 order by 1")
    assert counts == [("anonymous", DENIALS_PER_MINUTE), ("key:1", 2)]
    now = 60.0
    trail.deny("key:1", "S.M", "PERMISSION_DENIED", ["acme"], "r")
    trail.deny("anonymous", "S.M1", "UNAUTHENTICATED", [], "r")
    await trail.flush()
    assert rows("select count(*) from audit_events") == [(DENIALS_PER_MINUTE + 4,)]


@pytest.mark.asyncio
async def test_without_the_database_nothing_that_waits_is_lost_and_no_more_waits_than_there_is_room(
    database: Database, rows: Rows
) -> None:
    trail = Trail(database, uuid4, lambda: 0.0)
    rows("alter table audit_events rename to elsewhere")
    with pytest.raises(psycopg.errors.UndefinedTable):
        await trail.record("a", "S.Admin", "OK", ["acme"], "r")
    for number in range(2 * MOST_WAITING):
        trail.use(Grant(Role.READER, None, actor=f"key:{number}"), "r")
    with pytest.raises(psycopg.errors.UndefinedTable):
        await trail.flush()
    rows("alter table elsewhere rename to audit_events")
    while await trail.flush():
        pass
    assert rows("select count(*) from audit_events") == [(MOST_WAITING,)]
    assert rows("select action from audit_events where actor = 'a'") == [("S.Admin",)]


@pytest.mark.asyncio
async def test_what_an_administrator_did_is_recorded_when_the_caller_has_gone(
    database: Database, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = Trail(database, uuid4, lambda: 0.0)
    may_go, has_begun = asyncio.Event(), asyncio.Event()
    append = audit.append

    async def slow(*arguments: Any) -> None:
        has_begun.set()
        await may_go.wait()
        await append(*arguments)

    monkeypatch.setattr(audit, "append", slow)
    call = asyncio.create_task(trail.record("a", "S.Admin", "CANCELLED", [], "r"))
    await has_begun.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    may_go.set()
    await until(lambda: rows("select action from audit_events"))


@pytest.mark.asyncio
async def test_a_call_that_cannot_be_recorded_is_not_answered_as_done(start_server: StartServer) -> None:
    async with start_server(api_keys=[ROOT]) as server:
        request = policy.GetTenantPolicyRequest(tenant_id="acme")

        async def away(*_: Any) -> None:
            raise StoreUnavailable

        server.application.operations.trail._store = away  # type: ignore[method-assign]
        assert await code(server.policy.GetTenantPolicy(request, metadata=sent(ROOT))) == "UNAVAILABLE"
        wrong = policy.GetTenantPolicyRequest(tenant_id="")
        assert await code(server.policy.GetTenantPolicy(wrong, metadata=sent(ROOT))) == "INVALID_ARGUMENT"


@pytest.mark.asyncio
async def test_what_waits_is_recorded_when_the_server_ends(start_server: StartServer, rows: Rows) -> None:
    async with start_server(api_keys=[ROOT]) as server:
        server.application.operations.trail.deny("key:1", "S.M", "PERMISSION_DENIED", [], str(UUID(int=1)))
    assert rows("select request_id from audit_events where actor = 'key:1'") == [(str(UUID(int=1)),)]

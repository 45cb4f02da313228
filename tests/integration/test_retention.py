"""Retention: what leaves, what stays, and who may sweep."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest

from memory_grpc.domain.retention import RetentionCounts
from memory_grpc.errors import LeaseLost, StoreUnavailable
from memory_grpc.jobs import sweep as sweep_module
from memory_grpc.jobs import trouble
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.sweep import LEASE, LEASE_SECONDS, Sweep
from memory_grpc.operations.retention import retain
from memory_grpc.operations.retention.retain import Retain
from memory_grpc.store import idempotency
from memory_grpc.store import retention as retention_store
from memory_grpc.store.database import Database
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2
from tests.conftest import RunningServer, StartServer
from tests.projections import ADRIFT

Rows = Callable[..., list[tuple[Any, ...]]]
LIVE = "select tenant_id, count(*) from messages where archived_at is null group by 1 order by 1"


def run(actions: tuple[str, ...] = ("archive", "delete"), **fields: Any) -> admin.RunRetentionRequest:
    return admin.RunRetentionRequest(**({"tenant_id": "acme", "actions": actions} | fields))


async def fill(server: RunningServer, tenant: str = "acme") -> None:
    """6 fresh, 4 old, 3 unimportant: by the default policy 7 leave."""
    now = datetime.now(UTC)
    plans = [(timedelta(0), 0.5)] * 6 + [(timedelta(days=31), 1.0)] * 4 + [(timedelta(days=2), None)] * 3
    requests = []
    for age, override in plans:
        request = pb.IngestMessageRequest(
            tenant_id=tenant, conversation_id="c", role="user", content="some words", importance_override=override
        )
        request.created_at.FromDatetime(now - age)
        requests.append(request)
    await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=requests))


def sweep(server: RunningServer, database: Database | None = None, **changes: Any) -> Sweep:
    """A sweeper of its own, on the server's pool or another."""
    database = database or server.database
    values = {"schedule_seconds": 3600.0, "idempotency_hours": 24.0, "batch_size": 2} | changes
    of_one = Retain(database, server.application.operations.policies, values["batch_size"])
    return Sweep(database, Lease(database, LEASE, uuid4(), LEASE_SECONDS), of_one, **values)


@pytest.mark.asyncio
@pytest.mark.parametrize("batch_size", [2, 1000])
async def test_a_dry_run_counts_what_a_run_then_does(start_server: StartServer, rows: Rows, batch_size: int) -> None:
    async with start_server(retention_batch_size=batch_size) as server:
        await fill(server)
        await fill(server, "bystander")
        dry = await server.admin.RunRetention(run(dry_run=True))
        assert (dry.archived, dry.deleted, dry.dry_run) == (7, 0, True)
        assert rows("select count(*) from messages where archived_at is not null") == [(0,)]
        real = await server.admin.RunRetention(run())
        assert (real.archived, real.deleted, real.dry_run) == (7, 0, False)
        again = await server.admin.RunRetention(run())
        assert (again.archived, again.deleted) == (0, 0)
    assert rows(LIVE) == [("acme", 6), ("bystander", 13)]
    assert rows("select count(*) from messages where archived_at is not null") == [(7,)]
    assert rows(ADRIFT) == [(0,)], "vectors and words are marked with their messages"


WATCHED = """
create table gone (at bigint generated always as identity, content text);
create function note() returns trigger language plpgsql security definer as
$$ begin insert into gone (content) values (old.content); return coalesce(new, old); end $$;
create trigger archived before update on messages for each row
when (old.archived_at is null and new.archived_at is not null) execute function note();
create trigger deleted before delete on messages for each row execute function note();
"""
GONE = "with seen as (delete from gone returning at, content) select content from seen order by at"


@pytest.mark.asyncio
@pytest.mark.parametrize("batch_size", [1, 2, 5])
async def test_batches_read_on_where_the_last_ended(server: RunningServer, rows: Rows, batch_size: int) -> None:
    """What is too old goes first, the oldest first; then what is unimportant. Messages of one place, and pinned ones
    among those that go, hold up nothing and repeat nothing."""
    now = datetime.now(UTC)
    requests = []
    for number in range(18):
        is_old = number < 9
        request = pb.IngestMessageRequest(
            tenant_id="acme",
            conversation_id="c",
            role="user",
            content=f"{number:02}",
            importance_override=1.0 if is_old else 0.1 * (number // 3 - 3),
            pinned=number % 3 == 1,
        )
        request.created_at.FromDatetime(now - (timedelta(days=50 - number // 3) if is_old else timedelta(days=2)))
        requests.append(request)
    await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=requests))
    rows(WATCHED)
    leave = [number for number in range(18) if number % 3 != 1]

    counts = await sweep(server, batch_size=batch_size)()
    assert counts == RetentionCounts(archived=12)
    archived = [int(content) for (content,) in rows(GONE)]
    # In which order the messages of one batch go is Postgres' affair.
    for start in range(0, 12, batch_size):
        batch = archived[start : start + batch_size]
        assert [n // 3 for n in sorted(batch)] == [n // 3 for n in leave[start : start + batch_size]]
    assert sorted(archived) == leave

    rows("update messages set archived_at = archived_at - interval '91 days' where archived_at is not null")
    rows("update messages set expires_at = now() where content = '01'")
    counts = await sweep(server, batch_size=batch_size, schedule_seconds=0.0)()
    assert counts == RetentionCounts(deleted=13)
    assert sorted(int(content) for (content,) in rows(GONE)) == sorted([*archived, 1])
    assert rows("select count(*) from messages where pinned") == rows("select count(*) from messages") == [(5,)]
    assert rows(ADRIFT) == [(0,)]


@pytest.mark.asyncio
async def test_an_archived_message_is_fetched_but_not_found(server: RunningServer, rows: Rows) -> None:
    await fill(server)
    await server.admin.RunRetention(run(("archive",)))
    (archived,) = rows("select id from messages where archived_at is not null limit 1")[0]
    fetched = await server.memory.GetMessage(pb.GetMessageRequest(message_id=str(archived)))
    assert fetched.HasField("archived_at")
    found = await server.memory.SearchMemories(
        pb.SearchMemoriesRequest(tenant_id="acme", query="some words", top_k=1000)
    )
    assert found.total == 6
    assert str(archived) not in {hit.message_id for hit in found.items}


@pytest.mark.asyncio
async def test_the_archive_is_deleted_when_its_time_has_come(server: RunningServer, rows: Rows) -> None:
    await fill(server)
    await server.admin.RunRetention(run(("archive",)))
    rows("update messages set archived_at = archived_at - interval '91 days' where importance > 0.3")
    dry = await server.admin.RunRetention(run(("delete",), dry_run=True))
    real = await server.admin.RunRetention(run(("delete",)))
    assert (dry.deleted, real.deleted) == (4, 4)
    for archived, of in (("archived_at is not null", "messages"), ("archived", "message_embeddings")):
        assert rows(f"select {archived}, count(*) from {of} group by 1 order by 1") == [(False, 6), (True, 3)]
    assert rows(ADRIFT) == [(0,)]


@pytest.mark.asyncio
async def test_the_tenants_policy_rules_its_sweeps(server: RunningServer) -> None:
    await fill(server)
    await server.policy.SetTenantPolicy(
        policy_service_pb2.SetTenantPolicyRequest(
            tenant_id="acme", retention=policy_pb2.RetentionPolicy(max_age_days=1, importance_threshold=0)
        )
    )
    assert (await server.admin.RunRetention(run(dry_run=True))).archived == 7
    await server.policy.SetTenantPolicy(
        policy_service_pb2.SetTenantPolicyRequest(
            tenant_id="acme", retention=policy_pb2.RetentionPolicy(importance_threshold=0)
        )
    )
    assert (await server.admin.RunRetention(run(dry_run=True))).archived == 4
    policy = await server.policy.SetTenantPolicy(policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme"))
    assert list(policy.overrides) == []
    assert policy.retention.max_age_days == 30
    assert (await server.admin.RunRetention(run(dry_run=True))).archived == 7


@pytest.mark.asyncio
async def test_unknown_and_repeated_actions_are_refused(server: RunningServer) -> None:
    for actions in ((), ("burn",), ("archive", "archive")):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.admin.RunRetention(run(actions))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (refused.value.details() or "").startswith("actions")


@pytest.mark.asyncio
async def test_two_servers_never_both_sweep(server: RunningServer, rows: Rows) -> None:
    for tenant in ("t1", "t2", "t3"):
        await fill(server, tenant)
    results = await asyncio.gather(*(sweep(server)() for _ in range(4)))
    done = [counts for counts in results if counts is not None]
    assert len(done) == 1
    assert done[0].archived == 21
    assert rows("select status, tenants, archived from retention_runs") == [("ok", 3, 21)]
    # The next is due only when its time has come.
    assert await sweep(server)() is None
    assert await sweep(server, schedule_seconds=0.0)() is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("taken", [True, False], ids=["taken", "run out"])
async def test_a_sweeper_that_lost_its_lease_changes_nothing_more(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    """As one that was stopped in the middle and is woken: no heartbeat has told it yet."""
    await fill(server, "a")
    await fill(server, "b")
    call = Retain.__call__

    async def stopped_before(self: Retain, tenant_id: str, *args: Any, **fields: Any) -> RetentionCounts:
        if tenant_id == "b":
            rows("update leases set expires_at = now() - interval '1 second'")
            if taken:
                rows("update leases set expires_at = now() + interval '1 hour', holder = %s", uuid4())
        return await call(self, tenant_id, *args, **fields)

    monkeypatch.setattr(Retain, "__call__", stopped_before)
    with pytest.raises(LeaseLost):
        await sweep(server)()
    assert rows(LIVE) == [("a", 6), ("b", 13)]
    assert rows("select status, tenants, archived from retention_runs") == [("failed", 1, 7)]
    assert rows("select count(*) from leases") == [(int(taken),)], "it gives back what is its own"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the sweep and its troubles log."""
    events: list[dict[str, Any]] = []

    class Recorder:
        def info(self, event: str, **fields: Any) -> None:
            events.append({"event": event} | fields)

        warning = info

    monkeypatch.setattr(sweep_module, "log", Recorder())
    monkeypatch.setattr(trouble, "log", Recorder())
    return events


BROKEN = """
create function refuse() returns trigger language plpgsql as $$ begin raise exception 'said by aaa'; end $$;
create trigger refuse before update on messages for each row when (old.tenant_id = 'aaa') execute function refuse();
"""


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["a lock that another holds for long", "a statement error"])
async def test_the_trouble_of_one_tenant_is_nobody_else_s(
    server: RunningServer,
    rows: Rows,
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    logged: list[dict[str, Any]],
    kind: str,
) -> None:
    for tenant in ("aaa", "bbb", "ccc"):
        await fill(server, tenant)
    await server.memory.IngestMessage(
        pb.IngestMessageRequest(
            tenant_id="bbb", conversation_id="c", role="user", content="hello", request_id=str(uuid4())
        )
    )
    rows("update idempotency_keys set created_at = now() - interval '25 hours'")
    monkeypatch.setattr(retain, "LOCK_MILLISECONDS", 200)
    database = Database(dsn, min_size=1, max_size=2, max_waiting=10, timeout_seconds=5.0)
    await database.open()
    with psycopg.connect(dsn, autocommit=True) as connection:
        if kind == "a statement error":
            connection.execute(BROKEN)
        else:
            connection.execute("select pg_advisory_lock_shared(7207, hashtext('aaa'))")
        counts = await sweep(server, database, batch_size=100)()
    await database.close()
    assert counts == RetentionCounts(archived=14)
    assert rows(LIVE) == [
        ("aaa", 13),
        ("bbb", 7),
        ("ccc", 6),
    ]
    assert rows("select count(*) from idempotency_keys") == [(0,)]
    assert rows("select status, tenants, failed, archived from retention_runs") == [("failed", 2, 1, 14)]
    health = (await server.admin.GetHealth(admin.GetHealthRequest())).retention
    assert (health.last_status, health.failed, health.archived) == ("failed", 1, 14)
    assert rows("select count(*) from leases") == [(0,)]
    said = [event for event in logged if event["event"] == "retention_sweep"]
    assert said == [
        {"event": "retention_sweep", "status": "failed", "tenants": 2, "failed": 1, "archived": 14, "deleted": 0}
    ]
    assert "said by" not in repr(logged)
    assert len([event for event in logged if event["event"] == "item_failed"]) == 1


@pytest.mark.asyncio
async def test_a_database_that_is_away_ends_the_sweep(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    for tenant in ("aaa", "bbb"):
        await fill(server, tenant)
    tried = []

    async def away(*args: Any, **fields: Any) -> None:
        raise StoreUnavailable

    async def goes(self: Retain, tenant_id: str, *args: Any, **fields: Any) -> RetentionCounts:
        tried.append(tenant_id)
        monkeypatch.setattr(Database, "ping", away)
        raise StoreUnavailable

    monkeypatch.setattr(Retain, "__call__", goes)
    with pytest.raises(StoreUnavailable):
        await sweep(server)()
    assert tried == ["aaa"]
    assert rows("select status, tenants from retention_runs") == [("failed", 0)]


@pytest.mark.asyncio
async def test_what_fails_on_the_way_out_does_not_hide_why(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    async def fails(*args: Any, **fields: Any) -> None:
        raise StoreUnavailable("on the way out")

    async def lost(*args: Any, **fields: Any) -> int:
        monkeypatch.setattr(retention_store, "end_run", fails)
        monkeypatch.setattr("memory_grpc.store.leases.release", fails)
        raise LeaseLost("the cause")

    monkeypatch.setattr(idempotency, "expire", lost)
    with pytest.raises(LeaseLost, match="the cause"):
        await sweep(server)()
    assert {"event": "cleanup_failed", "step": "note that the sweep failed", "error": "StoreUnavailable"} in logged


@pytest.mark.asyncio
async def test_the_scheduler_sweeps_by_itself_and_health_tells(start_server: StartServer, rows: Rows) -> None:
    async with start_server() as server:
        await fill(server)
        health = await server.admin.GetHealth(admin.GetHealthRequest())
        assert (health.retention.last_status, health.retention.schedule_seconds) == ("never", 0)
    async with start_server(retention_schedule_seconds=0.2) as server, asyncio.timeout(10):
        while True:
            health = await server.admin.GetHealth(admin.GetHealthRequest())
            if health.retention.last_status == "ok" and rows(LIVE) == [("acme", 6)]:
                break
            await asyncio.sleep(0.02)


@pytest.mark.asyncio
async def test_old_request_ids_are_forgotten(server: RunningServer, rows: Rows) -> None:
    request = pb.IngestMessageRequest(
        tenant_id="acme", conversation_id="c", role="user", content="hello", request_id=str(uuid4())
    )
    await server.memory.IngestMessage(request)
    await sweep(server)()
    assert rows("select count(*) from idempotency_keys") == [(1,)]
    rows("update idempotency_keys set created_at = now() - interval '25 hours'")
    await sweep(server, schedule_seconds=0.0)()
    assert rows("select count(*) from idempotency_keys") == [(0,)]

"""Retention tried and undone: a policy that is not set yet, and messages that come back from the archive."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import psycopg
import pytest

from memory_grpc.operations.retention import retain
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2
from memory_layer.v1 import retention_pb2 as tried
from tests.cli import Cli
from tests.conftest import RunningServer, StartServer
from tests.projections import ADRIFT

Rows = Callable[..., list[tuple[Any, ...]]]
STATE = "select id, archived_at, pinned, expires_at, importance from messages order by id"
WORDS = "some words"


async def store(server: RunningServer, tenant: str, *plans: dict[str, Any]) -> list[str]:
    """Messages that say the same; ``days`` is how old one is. Their ids."""
    now = datetime.now(UTC)
    requests = []
    for plan in plans:
        days = plan.pop("days", 0.0)
        request = pb.IngestMessageRequest(
            **({"tenant_id": tenant, "conversation_id": "c", "role": "user", "content": WORDS} | plan)
        )
        request.created_at.FromDatetime(now - timedelta(days=days))
        requests.append(request)
    stored = await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=requests))
    return [message.id for message in stored.messages]


async def fill(server: RunningServer, tenant: str = "acme") -> None:
    """Of 9 messages the default policy archives 5: three old ones, and two without importance."""
    fresh, old, light = {"importance_override": 0.5}, {"days": 45, "importance_override": 1}, {"days": 2}
    await store(
        server,
        tenant,
        *(fresh | {"user_id": f"u{n % 2}"} for n in range(3)),
        *(old | {"role": role, "user_id": "u0"} for role in ("user", "user", "assistant")),
        *(light | {"conversation_id": "light"} for _ in range(2)),
        light | {"pinned": True},
    )


def run(**fields: Any) -> admin.RunRetentionRequest:
    return admin.RunRetentionRequest(**({"tenant_id": "acme", "actions": ["archive", "delete"]} | fields))


def simulated(**fields: Any) -> tried.SimulateRetentionRequest:
    return tried.SimulateRetentionRequest(**({"tenant_id": "acme"} | fields))


def restored(**fields: Any) -> tried.RestoreArchivedRequest:
    return tried.RestoreArchivedRequest(**({"tenant_id": "acme"} | fields))


async def found(server: RunningServer) -> int:
    """How many a search finds."""
    wanted = pb.SearchMemoriesRequest(tenant_id="acme", query=WORDS, top_k=100)
    return int((await server.memory.SearchMemories(wanted)).total)


@pytest.mark.asyncio
async def test_a_simulation_says_what_a_run_then_does_and_changes_nothing(server: RunningServer, rows: Rows) -> None:
    await fill(server)
    await fill(server, "bystander")
    rows("update messages set archived_at = now() - interval '91 days' where user_id = 'u1'")
    before = rows(STATE)
    simulation = await server.admin.SimulateRetention(simulated())
    dry = await server.admin.RunRetention(run(dry_run=True))
    assert rows(STATE) == before
    real = await server.admin.RunRetention(run())
    assert (simulation.archived, simulation.deleted) == (dry.archived, dry.deleted) == (real.archived, real.deleted)
    assert (simulation.archived, simulation.deleted, simulation.kept) == (5, 1, 3)
    assert (simulation.retention.max_age_days, simulation.retention.delete_after_days) == (30, 90)


@pytest.mark.asyncio
async def test_a_policy_that_is_not_set_is_tried_by_month_and_role(server: RunningServer, rows: Rows) -> None:
    await fill(server)
    limits = policy_pb2.RetentionPolicy(importance_threshold=0)
    simulation = await server.admin.SimulateRetention(simulated(retention=limits))
    assert (simulation.retention.importance_threshold, simulation.retention.max_age_days) == (0, 30)
    assert (simulation.archived, simulation.deleted, simulation.kept) == (3, 0, 6)
    counted = Counter[tuple[str, str]]()
    for month in simulation.months:
        counted[month.month, month.role] += month.archived
    old = f"{datetime.now(UTC) - timedelta(days=45):%Y-%m}"
    assert +counted == {(old, "user"): 2, (old, "assistant"): 1}
    months = [(month.month, month.role) for month in simulation.months]
    assert months == sorted(set(months))
    assert (
        await server.policy.GetTenantPolicy(policy_service_pb2.GetTenantPolicyRequest(tenant_id="acme"))
    ).overrides == []


@pytest.mark.asyncio
async def test_a_sweep_of_another_moment_is_simulated(server: RunningServer, rows: Rows) -> None:
    await fill(server)
    now = datetime.now(UTC)
    later, earlier = simulated(), simulated()
    later.as_of.FromDatetime(now + timedelta(days=31))
    earlier.as_of.FromDatetime(now - timedelta(days=10))
    soon = await server.admin.SimulateRetention(later)
    assert (soon.archived, soon.kept, soon.as_of) == (8, 1, later.as_of)  # all but the pinned one
    past = await server.admin.SimulateRetention(earlier)
    assert (past.archived, past.kept) == (3, 0), "what was said later does not count"
    # The archive of today is deleted from when its time has come.
    await server.admin.RunRetention(run())
    later.as_of.FromDatetime(now + timedelta(days=91))
    assert (await server.admin.SimulateRetention(later)).deleted == 5


@pytest.mark.asyncio
async def test_a_simulation_shows_some_messages_and_none_that_has_expired(server: RunningServer, rows: Rows) -> None:
    await fill(server)
    ids = await store(server, "acme", *({"content": f"gone {n}", "importance_override": 1} for n in range(2)))
    rows("update messages set archived_at = now() - interval '91 days' where id = %s", ids[0])
    rows("update messages set expires_at = now() - interval '1 second' where id = %s", ids[1])
    simulation = await server.admin.SimulateRetention(simulated(sample_size=3))
    assert (simulation.archived, simulation.deleted) == (5, 2)
    assert [message.id for message in simulation.deleted_sample] == [ids[0]]
    times = [message.created_at.ToDatetime() for message in simulation.archived_sample]
    assert len(times) == 3
    assert times == sorted(times, reverse=True)
    none = await server.admin.SimulateRetention(simulated(sample_size=0))
    assert (len(none.archived_sample), len(none.deleted_sample), none.archived) == (0, 0, 5)
    nobody = await server.admin.SimulateRetention(simulated(tenant_id="nobody"))
    assert (nobody.archived, nobody.deleted, nobody.kept, list(nobody.months)) == (0, 0, 0, [])


@pytest.mark.asyncio
async def test_simulations_leave_connections_to_others(start_server: StartServer, dsn: str, rows: Rows) -> None:
    at_work = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%%date_trunc%%'"
    async with start_server(database_background_pool_size=5) as server:
        await fill(server)
        with psycopg.connect(dsn) as holder:
            holder.execute("lock table messages in access exclusive mode")
            operations = server.application.operations
            tenants = ("acme", "t1", "t2", "t3", "t4")
            calls = [asyncio.create_task(operations.simulate(tenant, {}, None, 5)) for tenant in tenants]
            async with asyncio.timeout(10):
                while rows(at_work) != [(1,)]:
                    await asyncio.sleep(0.02)
                # Another use of the same pool; the default pool of calls would not show anything.
                await operations.policies.get("acme", fresh=True)
                await operations.retain._policies.get("acme", fresh=True)
            assert rows(at_work) == [(1,)]
        assert [len(one.months) > 0 for one in await asyncio.gather(*calls)] == [True, False, False, False, False]


@pytest.mark.asyncio
@pytest.mark.parametrize("batch_size", [1, 1000])
async def test_what_was_archived_comes_back_as_it_was(start_server: StartServer, rows: Rows, batch_size: int) -> None:
    async with start_server(retention_batch_size=batch_size) as server:
        await fill(server)
        await fill(server, "bystander")
        before = await found(server)
        state = rows(STATE)
        for tenant in ("acme", "bystander"):
            await server.admin.RunRetention(run(tenant_id=tenant))
        assert await found(server) == before - 5
        dry = await server.admin.RestoreArchived(restored(filter="archived = true", dry_run=True))
        assert (dry.restored, dry.would_archive_again, dry.dry_run) == (5, 5, True)
        assert await found(server) == before - 5
        real = await server.admin.RestoreArchived(restored(filter="archived = true"))
        assert (real.restored, real.would_archive_again, real.dry_run) == (5, 5, False)
        assert await found(server) == before
        assert rows(ADRIFT) == [(0,)]
        again = await server.admin.RestoreArchived(restored(filter="archived = true"))
        assert (again.restored, again.would_archive_again) == (0, 0), "a retry does nothing twice"
        archived = rows("select tenant_id, count(*) from messages where archived_at is not null group by 1")
        assert archived == [("bystander", 5)]
        await server.admin.RestoreArchived(restored(tenant_id="bystander", filter="archived = true"))
        assert rows(STATE) == state


@pytest.mark.asyncio
async def test_it_is_restored_by_user_conversation_filter_and_time(server: RunningServer, rows: Rows) -> None:
    await fill(server)
    await server.admin.RunRetention(run())
    rows("update messages set archived_at = archived_at - interval '1 day' where conversation_id = 'light'")
    yesterday = restored(dry_run=True)
    yesterday.archived_since.FromDatetime(datetime.now(UTC) - timedelta(hours=1))
    cases = [
        (restored(user_id="u0", dry_run=True), 3),
        (restored(user_id="u0", filter="role = assistant", dry_run=True), 1),
        (restored(conversation_id="light", dry_run=True), 2),
        (restored(conversation_id="light", user_id="u0", dry_run=True), 0),
        (yesterday, 3),
    ]
    for request, expected in cases:
        assert (await server.admin.RestoreArchived(request)).restored == expected, request
    assert (await server.admin.RestoreArchived(restored(user_id="u0"))).restored == 3
    assert rows("select conversation_id, count(*) from messages where archived_at is not null group by 1") == [
        ("light", 2)
    ]
    for request in (restored(), restored(filter="role ="), restored(filter="nothing = 1")):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.admin.RestoreArchived(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (refused.value.details() or "").startswith("filter")


@pytest.mark.asyncio
async def test_nobody_restores_in_vain(server: RunningServer, rows: Rows) -> None:
    """What is said to be archived again is; what has expired stays away."""
    await fill(server)
    await server.admin.RunRetention(run())
    rows("update messages set pinned = true where role = 'assistant'")
    await server.policy.SetTenantPolicy(
        policy_service_pb2.SetTenantPolicyRequest(
            tenant_id="acme", retention=policy_pb2.RetentionPolicy(importance_threshold=0)
        )
    )
    rows(
        "update messages set expires_at = now() - interval '1 second' "
        "where id = (select id from messages where conversation_id = 'light' limit 1)"
    )
    counts = await server.admin.RestoreArchived(restored(filter="archived = true"))
    assert (counts.restored, counts.would_archive_again) == (4, 2)
    swept = await server.admin.RunRetention(run())
    assert (swept.archived, swept.deleted) == (2, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("schedule_seconds", "days", "deletes"), [(3600.0, 7.0, True), (0.0, 7.0, False), (3600.0, 36500.0, False)]
)
async def test_health_says_whether_archives_are_deleted(
    start_server: StartServer, schedule_seconds: float, days: float, deletes: bool
) -> None:
    async with start_server(retention_schedule_seconds=schedule_seconds, retention_delete_after_days=days) as server:
        status = (await server.admin.GetHealth(admin.GetHealthRequest())).retention
        assert (status.deletes_archives, status.delete_after_days) == (deletes, days)


@pytest.mark.asyncio
async def test_the_log_says_what_is_deleted_while_it_is_there(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(server)
    said: list[tuple[str, dict[str, Any], int]] = []

    class Recorder:
        def info(self, event: str, **fields: Any) -> None:
            said.append((event, fields, rows("select count(*) from messages")[0][0]))

    monkeypatch.setattr(retain, "log", Recorder())
    await server.admin.RunRetention(run())
    assert said == [], "nothing to delete, nothing to say"
    rows("update messages set archived_at = archived_at - interval '91 days'")
    rows("update messages set expires_at = now() - interval '1 second' where pinned")
    await server.admin.RunRetention(run(dry_run=True))
    assert said == []
    assert (await server.admin.RunRetention(run())).deleted == 6
    fields = {"tenant_id": "acme", "from_archive": 5, "delete_after_days": 90.0, "expired": 1}
    assert said == [("retention_deletes", fields, 9)]


@pytest.mark.asyncio
async def test_the_command_line_draws_and_restores(server: RunningServer, cli: Cli, rows: Rows) -> None:
    await fill(server)
    at = ("--address", server.grpc_address)
    drawn = await cli("retention", "simulate", "--tenant", "acme", "--importance-threshold", "0", *at)
    assert drawn.code == 0, drawn.err
    assert "3 would be archived, 0 deleted, 6 stay live." in drawn.out
    month = f"{datetime.now(UTC) - timedelta(days=45):%Y-%m}"
    assert any(month in line and "█" in line for line in drawn.out.splitlines())
    assert rows("select count(*) from messages where archived_at is not null") == [(0,)]
    await cli("retention", "run", "--tenant", "acme", *at)
    back = await cli("retention", "restore", "--tenant", "acme", "--user", "u0", "--archived-since", "2020-01-01", *at)
    assert back.out.startswith("acme: 3 restored.\nThe next sweep archives 3 of them again")
    assert rows("select count(*) from messages where archived_at is not null") == [(2,)]

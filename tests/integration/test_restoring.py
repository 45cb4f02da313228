"""A restore in batches: what it passes over, what holds it up, and what one that was cut off has left."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import psycopg
import pytest

from memory_grpc.operations.retention import restore
from memory_grpc.store import retention
from memory_grpc.store.database import Transaction
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2
from memory_layer.v1 import retention_pb2 as tried
from tests.chaos.harness import until
from tests.conftest import RunningServer, StartServer
from tests.projections import ADRIFT

Rows = Callable[..., list[tuple[Any, ...]]]
Batch = Callable[[], Awaitable[Any]]
ARCHIVED = "select count(*) from messages where archived_at is not null"
LIVE = "select id::text from messages where archived_at is null order by created_at, id"
WAITING = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
# A large archive: one message in a hundred passes the filter.
ARCHIVE = """
insert into messages (tenant_id, id, conversation_id, role, content, metadata, importance, embedding_status, created_at,
    updated_at, archived_at)
select 'acme', gen_random_uuid(), 'c' || mod(n, 7), case when mod(n, 100) = 0 then 'system' else 'user' end,
    'words', '{}', 0.5, 'completed', now() - make_interval(days => 40, mins => n), now(), now() - interval '1 hour'
from generate_series(1, 5000) as n
"""
VISITED = "select seq_tup_read + idx_tup_fetch as visited from pg_stat_xact_user_tables where relname = 'messages'"
PASSING = tried.RestoreArchivedRequest(tenant_id="acme", filter="role = system")
EVERYTHING = tried.RestoreArchivedRequest(tenant_id="acme", filter="archived = true")


async def archive(server: RunningServer, rows: Rows, count: int) -> list[str]:
    """Messages of the archive with their vectors and words; their ids, the oldest first."""
    requests = [
        pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content=f"words {n}")
        for n in range(count)
    ]
    stored = await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=requests))
    await server.policy.SetTenantPolicy(
        policy_service_pb2.SetTenantPolicyRequest(
            tenant_id="acme", retention=policy_pb2.RetentionPolicy(importance_threshold=1)
        )
    )
    await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
    assert rows(ARCHIVED) == [(count,)]
    return [message.id for message in stored.messages]


def around_each_batch(monkeypatch: pytest.MonkeyPatch, watch: Callable[[Transaction, Batch], Awaitable[Any]]) -> None:
    """Has ``watch`` do each batch, in its transaction."""
    real = retention.restore

    async def watched(tx: Transaction, *arguments: Any) -> Any:
        return await watch(tx, lambda: real(tx, *arguments))

    monkeypatch.setattr(retention, "restore", watched)


@pytest.mark.asyncio
async def test_a_sparse_filter_passes_over_each_archived_message_once(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(ARCHIVE)
    rows("analyze messages")
    visited: list[int] = []

    async def so_far(tx: Transaction) -> int:
        return int((await (await tx._connection.execute(VISITED)).fetchall())[0]["visited"])

    async def counted(tx: Transaction, batch: Batch) -> Any:
        before = await so_far(tx)
        done = await batch()
        visited.append(await so_far(tx) - before)
        return done

    around_each_batch(monkeypatch, counted)
    async with start_server(retention_batch_size=5) as server:
        assert (await server.admin.RestoreArchived(PASSING)).restored == 50
    assert len(visited) == 11, "ten full batches, and the one that finds no more"
    # Those that pass are looked up a second time, to be changed.
    assert 50 <= sum(visited) <= 5000 + 2 * 50, visited
    assert rows(f"{ARCHIVED} and role = 'user'") == [(4950,)]


@pytest.mark.asyncio
async def test_one_that_was_cut_off_is_brought_to_its_end_by_the_next(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_server(retention_batch_size=2) as server:
        ids = await archive(server, rows, 9)
        batches = 0

        async def killed(tx: Transaction, batch: Batch) -> Any:
            nonlocal batches
            batches += 1
            done = await batch()
            if batches == 3:  # before it is committed
                rows("select pg_terminate_backend(%s)", tx._connection.info.backend_pid)
            return done

        around_each_batch(monkeypatch, killed)
        with pytest.raises(grpc.aio.AioRpcError) as cut:
            await server.admin.RestoreArchived(EVERYTHING)
        assert cut.value.code() is grpc.StatusCode.UNAVAILABLE
        assert rows(LIVE) == [(one,) for one in ids[:4]], "two whole batches, the oldest first"
        assert rows(ADRIFT) == [(0,)]
        assert (await server.admin.RestoreArchived(EVERYTHING)).restored == 5
        assert (rows(ARCHIVED), rows(ADRIFT)) == ([(0,)], [(0,)])


@pytest.mark.asyncio
@pytest.mark.parametrize("by_the_lock_of_its_tenant", [True, False])
async def test_what_holds_a_restore_up_makes_it_give_up_in_time(
    start_server: StartServer, dsn: str, rows: Rows, monkeypatch: pytest.MonkeyPatch, *, by_the_lock_of_its_tenant: bool
) -> None:
    monkeypatch.setattr(restore, "LOCK_MILLISECONDS", 300)
    async with start_server(retention_batch_size=2) as server:
        ids = await archive(server, rows, 9)
        with psycopg.connect(dsn) as holder:
            if by_the_lock_of_its_tenant:
                holder.execute("select pg_advisory_xact_lock_shared(7207, hashtext('acme'))")
            else:
                holder.execute("select from messages where id = %s for update", (ids[5],))
            started = time.monotonic()
            with pytest.raises(grpc.aio.AioRpcError) as held_up:
                await server.admin.RestoreArchived(EVERYTHING, timeout=30)
            assert held_up.value.code() is grpc.StatusCode.UNAVAILABLE
            assert time.monotonic() - started >= 0.3, "it has waited"
            restored = 0 if by_the_lock_of_its_tenant else 4
            assert rows(LIVE) == [(one,) for one in ids[:restored]], "whole batches before it, and nothing of its own"
            assert rows(ADRIFT) == [(0,)]
            # Who waits as long as the caller does is cut off by the caller's deadline, in Postgres too.
            monkeypatch.setattr(restore, "LOCK_MILLISECONDS", 60_000)
            with pytest.raises(grpc.aio.AioRpcError) as late:
                await server.admin.RestoreArchived(EVERYTHING, timeout=0.5)
            assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            await until(lambda: rows(WAITING) == [(0,)], what="nobody waits in Postgres")
        assert (await server.admin.RestoreArchived(EVERYTHING)).restored == 9 - restored
        assert (rows(ARCHIVED), rows(ADRIFT)) == ([(0,)], [(0,)])

"""Sweepers against each other and against ingest: every message is somewhere, once."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from memory_grpc.domain.retention import RetentionCounts
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.sweep import LEASE, LEASE_SECONDS, Sweep
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2
from tests.chaos.harness import ServerProcess, connected, fetch, item, message, rounds, serving, until
from tests.conftest import RunningServer, StartServer
from tests.projections import ADRIFT

pytestmark = pytest.mark.timeout(3600)

KEEP_NOTHING = policy_service_pb2.SetTenantPolicyRequest(
    tenant_id="chaos", retention=policy_pb2.RetentionPolicy(delete_after_days=0, max_age_days=30)
)
KEEP_ARCHIVED = policy_service_pb2.SetTenantPolicyRequest(
    tenant_id="chaos", retention=policy_pb2.RetentionPolicy(max_age_days=30)
)
LIVE = "select count(*) from messages where archived_at is null"
# Writers share the lock of their tenant; a sweep has it alone.
TENANT_LOCKED = """
    select from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.mode = 'ExclusiveLock' and l.granted and a.datname = current_database()
"""
KEPT = "select count(*) from messages where archived_at is not null"


def _batch(round_: int, number: int) -> pb.BatchIngestMessagesRequest:
    """Ten messages: five that stay, five that any sweep takes."""
    requests = []
    for n in range(10):
        request = message(f"sweep {round_} {number} {n}")
        if n % 2:
            request.created_at.FromDatetime(datetime.now(UTC) - timedelta(days=31))
        requests.append(request)
    return pb.BatchIngestMessagesRequest(messages=requests)


@pytest.mark.asyncio
async def test_6_two_sweepers_and_live_ingest(start_server: StartServer, dsn: str) -> None:
    count = rounds("SWEEP", 40)
    with item(6, "two sweepers, RunRetention and live ingest") as result:
        async with start_server(retention_batch_size=7) as one, start_server(retention_batch_size=7) as two:
            await one.policy.SetTenantPolicy(KEEP_NOTHING)
            swept: list[RetentionCounts] = []
            accepted: list[str] = []
            stopping = asyncio.Event()

            async def sweeper(server: object) -> None:
                sweep = Sweep(
                    server.database,
                    Lease(server.database, LEASE, uuid4(), LEASE_SECONDS),
                    server.application.operations.retain,
                    schedule_seconds=0,
                    idempotency_hours=24,
                    batch_size=7,
                )
                while not stopping.is_set():
                    if (counts := await sweep()) is not None:
                        swept.append(counts)
                    await asyncio.sleep(0)

            async def by_hand(server: object) -> None:
                request = admin.RunRetentionRequest(tenant_id="chaos", actions=["archive", "delete"])
                while not stopping.is_set():
                    answer = await server.admin.RunRetention(request)
                    swept.append(RetentionCounts(answer.archived, answer.deleted))

            async def ingest(server: object, number: int) -> None:
                for n in range(count):
                    answer = await server.memory.BatchIngestMessages(_batch(number, n))
                    accepted.extend(m.id for m in answer.messages)

            async with asyncio.TaskGroup() as group:
                for server in (one, two):
                    group.create_task(sweeper(server))
                    group.create_task(by_hand(server))
                async with asyncio.TaskGroup() as writers:
                    for number, server in enumerate((one, two)):
                        writers.create_task(ingest(server, number))
                stopping.set()

        result.tried = len(accepted)
        ((live,),), ((kept,),) = fetch(dsn, LIVE), fetch(dsn, KEPT)
        archived, deleted = sum(c.archived for c in swept), sum(c.deleted for c in swept)
        result.note = f"{archived} archived, {deleted} deleted, {live} live"
        assert len(set(accepted)) == count * 20
        assert archived == len(accepted) - live, "each message is archived once"
        assert deleted == archived - kept, "each archived message is deleted once"
        assert live >= len(accepted) // 2, "none that should stay has gone"
        assert fetch(dsn, ADRIFT) == [(0,)]
        result.held = len(accepted)


@dataclass
class Writer:
    """Ingests batches over a server, and counts the messages of them that are to stay and those that are to go."""

    server: RunningServer
    stay: int = 0
    go: int = 0
    batches: int = 0

    async def ingest(self, batches: int) -> None:
        """So many batches, one after the other."""
        for _ in range(batches):
            self.batches += 1
            answer = await self.server.memory.BatchIngestMessages(_batch(0, self.batches))
            self.stay += len(answer.messages) // 2
            self.go += len(answer.messages) // 2

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Batches all the time that the block lasts."""
        stopping = False

        async def work() -> None:
            while not stopping:
                await self.ingest(1)

        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            try:
                yield
            finally:
                stopping = True


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "stopped"])
async def test_6_a_sweeper_gone_in_the_middle(
    number: signal.Signals, start_server: StartServer, dsn: str, tmp_path: Path
) -> None:
    """Killed, or stopped past its lease and woken while another holds it; others ingest all the while.

    ``start_server`` has no scheduler.
    """
    words = {signal.SIGKILL: "SIGKILLed in mid-sweep", signal.SIGSTOP: "SIGSTOPped past its lease, and woken"}[number]
    with item(6, f"a sweeper {words}") as result:
        async with start_server() as server:
            writer = Writer(server)
            sweep = Sweep(
                server.database,
                Lease(server.database, LEASE, uuid4(), LEASE_SECONDS),
                server.application.operations.retain,
                schedule_seconds=0,
                idempotency_hours=24,
                batch_size=1000,
            )
            slowest = 0.0
            for _ in range(rounds("SWEEP_KILL", 1)):
                result.tried += 1
                await server.policy.SetTenantPolicy(KEEP_ARCHIVED)
                # Of these the sweeper, which takes one at a time, must be in the middle when it is noticed.
                await writer.ingest(100)
                fetch(dsn, "delete from leases")
                fetch(dsn, "delete from retention_runs")
                assert fetch(dsn, KEPT) == [(0,)]
                async with serving(dsn, tmp_path, RETENTION_SCHEDULE_SECONDS=3600, RETENTION_BATCH_SIZE=1) as process:
                    async with writer.at_work():
                        await until(lambda: fetch(dsn, KEPT)[0][0] > 0, what="it sweeps")
                        process.send(number)
                        assert fetch(dsn, "select status from retention_runs") == [("running",)], "not in mid-sweep"
                        # Whatever it was doing: a transaction that it left open is ended for it.
                        started = time.monotonic()
                        await until(lambda: _lease_runs_out(dsn), 30, "its lease can run out")
                        counts = await asyncio.wait_for(sweep(), 30)
                        slowest = max(slowest, time.monotonic() - started)
                        assert counts is not None, "another could not take over"
                        assert counts.archived > 0
                    if number == signal.SIGSTOP:
                        await _woken_does_nothing(process, writer, dsn)
                await asyncio.wait_for(sweep(), 30)
                (live,), (kept,) = fetch(dsn, LIVE)[0], fetch(dsn, KEPT)[0]
                assert live == writer.stay, "what should stay stays, what should go goes"
                assert kept == writer.go, "archived + remaining = accepted"
                assert fetch(dsn, ADRIFT) == [(0,)]
                # And what was archived is deleted once.
                await server.policy.SetTenantPolicy(KEEP_NOTHING)
                deleted = await server.admin.RunRetention(
                    admin.RunRetentionRequest(tenant_id="chaos", actions=["delete"])
                )
                assert (deleted.deleted, fetch(dsn, KEPT)) == (kept, [(0,)]), "deleted + remaining = accepted"
                writer.go = 0
                result.held += 1
            result.note = f"{10 * writer.batches} messages, another had swept {slowest:.1f} s later at most"


def _lease_runs_out(dsn: str) -> bool:
    """Lets the lease's time pass; False while an open transaction of its holder's locks it, or the tenant, for which a
    sweep waits less long than such a transaction may last."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if connection.execute(TENANT_LOCKED).fetchall():
            return False
        try:
            connection.execute("set lock_timeout = '200ms'")
            connection.execute("update leases set expires_at = now() - interval '1 second'")
        except psycopg.errors.LockNotAvailable:
            return False
    return True


async def _woken_does_nothing(process: ServerProcess, writer: Writer, dsn: str) -> None:
    """There is work again, but the lease is another's: the woken sweeper finds that out before it changes a row."""
    await writer.ingest(4)
    fetch(dsn, "insert into leases values ('retention', %s, now() + interval '1 hour')", uuid4())
    before = fetch(dsn, KEPT)
    process.send(signal.SIGCONT)
    first = "select status from retention_runs order by id limit 1"
    await until(lambda: fetch(dsn, first) == [("failed",)], 20, "it noticed that its lease is gone")
    async with connected(process.address) as client:
        await until(client.is_serving, 10, "the woken server serves")
    assert fetch(dsn, KEPT) == before, "it went on sweeping without a lease"
    assert fetch(dsn, "select count(*) from leases") == [(1,)], "it gave back a lease that is not its own"
    fetch(dsn, "delete from leases")

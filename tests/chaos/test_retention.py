"""Sweepers against each other and against ingest: every message is somewhere, once."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from memory_grpc.domain import RetentionCounts
from memory_grpc.retention.sweep import Sweep
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import connected, fetch, item, message, rounds, serving, until
from tests.conftest import StartServer

pytestmark = pytest.mark.timeout(3600)

KEEP_NOTHING = admin.SetTenantPolicyRequest(
    tenant_id="chaos", retention=admin.RetentionPolicy(delete_after_days=0, max_age_days=30)
)
KEPT = "select count(*) from archived_messages"
TWICE = "select count(*) from messages m join archived_messages a using (tenant_id, id)"
ORPHANS = """
select (select count(*) from message_embeddings e where not exists (select from messages m where m.id = e.message_id))
    + (select count(*) from archived_embeddings e
        where not exists (select from archived_messages m where m.id = e.message_id))
"""


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
            await one.admin.SetTenantPolicy(KEEP_NOTHING)
            swept: list[RetentionCounts] = []
            accepted: list[str] = []
            stopping = asyncio.Event()

            async def sweeper(server: object) -> None:
                sweep = Sweep(
                    server.database,
                    server.application.operations.retain,
                    uuid4(),
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
        ((live,),) = fetch(dsn, "select count(*) from messages")
        ((kept,),) = fetch(dsn, "select count(*) from archived_messages")
        archived, deleted = sum(c.archived for c in swept), sum(c.deleted for c in swept)
        result.note = f"{archived} archived, {deleted} deleted, {live} live"
        assert len(set(accepted)) == count * 20
        assert archived == len(accepted) - live, "each message is archived once"
        assert deleted == archived - kept, "each archived message is deleted once"
        assert live >= len(accepted) // 2, "none that should stay has gone"
        assert fetch(dsn, TWICE) == [(0,)]
        assert fetch(dsn, ORPHANS) == [(0,)]
        result.held = len(accepted)


@pytest.mark.asyncio
async def test_6_a_sweeper_killed_and_one_stopped_past_its_lease(
    start_server: StartServer, dsn: str, tmp_path: Path
) -> None:
    with item(6, "a sweeper SIGKILLed, one SIGSTOPped past its lease") as result:
        for round_ in range(rounds("SWEEP_KILL", 1)):
            result.tried += 1
            async with start_server() as server:
                before = fetch(dsn, "select count(*) from messages")[0][0]
                for number in range(60):
                    await server.memory.BatchIngestMessages(_batch(round_, number))
                for number in (signal.SIGKILL, signal.SIGSTOP):
                    gone = fetch(dsn, "select count(*) from archived_messages")[0][0]
                    fetch(dsn, "delete from leases")
                    fetch(dsn, "delete from retention_runs")
                    async with serving(
                        dsn, tmp_path, RETENTION_SCHEDULE_SECONDS=3600, RETENTION_BATCH_SIZE=1
                    ) as process:
                        await until(lambda at=gone: fetch(dsn, KEPT)[0][0] > at, what="it sweeps")
                        process.send(number)
                        await until(lambda: fetch(dsn, "select count(*) from leases")[0][0] == 1, what="a lease")
                        # Its lease runs out while it can do nothing; another takes over and is through.
                        fetch(dsn, "update leases set expires_at = now() - interval '1 second'")
                        stopped_at = fetch(dsn, KEPT)[0][0]
                        sweep = Sweep(
                            server.database,
                            server.application.operations.retain,
                            uuid4(),
                            schedule_seconds=0,
                            idempotency_hours=24,
                            batch_size=1000,
                        )
                        if number == signal.SIGSTOP:
                            with_lease = await sweep()
                            assert with_lease is not None, "the lease of a stopped server is not free"
                            process.send(signal.SIGCONT)
                            async with connected(process.address) as client:
                                assert await client.is_serving()
                            ((status,),) = fetch(dsn, "select count(*) from leases")
                            assert status <= 1
                        assert fetch(dsn, KEPT)[0][0] >= stopped_at
                live = fetch(dsn, "select count(*) from messages")[0][0]
                kept = fetch(dsn, "select count(*) from archived_messages")[0][0]
                assert live == before + 300
                assert live + kept == (round_ + 1) * 600
                assert fetch(dsn, TWICE) == [(0,)]
                assert fetch(dsn, ORPHANS) == [(0,)]
            result.held += 1

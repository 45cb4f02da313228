"""Five servers share one database and its jobs, and whoever is at work is killed: no work is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from memory_layer.v1 import embedding_service_pb2 as embedding
from memory_layer.v1 import erasure_service_pb2 as erasure
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.counting import Fleet, locked
from tests.chaos.harness import Client, connected, fetch, item, message, rounds, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(3600)]

SERVERS = 5
# More than the two workers of one server take at once.
PENDING = 600
LARGE = 300
PERIOD_SECONDS = 1.0
# When whoever works is killed, round by round: while it waits for what the test holds (None), or so many seconds after
# it could go on, in the middle of its work or behind it.
MOMENTS = (None, 0.0, 0.01, 0.03, 0.1, 0.3)


async def _kill(fleet: Fleet, name: str, held: ExitStack, number: int) -> None:
    """Kills a server at the moment of the round."""
    if (moment := MOMENTS[number % len(MOMENTS)]) is not None:
        held.close()
        await asyncio.sleep(moment)
    await fleet.kill(name)


async def _ingest(client: Client, tenant_id: str, count: int, **fields: object) -> None:
    batch = [message(f"{tenant_id} {n}", tenant_id=tenant_id, **fields) for n in range(count)]
    await client.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch), timeout=60)


async def _pending(fleet: Fleet, client: Client, number: int) -> None:
    """Each message is taken once; those that the killed server had, once more."""
    tenants = [f"pending-{number}-{n}" for n in range(3)]
    of_all = f"pending-{number}-%"
    with ExitStack() as held:
        held.enter_context(locked(fleet.dsn, "lock table message_embeddings in share mode"))
        for tenant_id in tenants:
            await _ingest(client, tenant_id, PENDING // 3, embed_later=True)
        await until(lambda: len(fleet.counts("taken", of_all)) == PENDING, 60, "all are taken")
        at_work = {name for name in fleet.alive if fleet.counts("taken", of_all, by={name})}
        assert len(at_work) > 1, "one server took everything"
        killed = min(at_work)
        await _kill(fleet, killed, held, number)
    await fleet.until("select count(*) from messages where embedding_status = 'pending'", 0, "all are embedded")
    twice = {id_ for id_, times in fleet.counts("taken", of_all).items() if times > 1}
    assert twice <= set(fleet.counts("taken", of_all, by={killed}))
    assert set(fleet.counts("taken", of_all, by=set(fleet.alive)).values()) == {1}
    embedded = fleet.counts("embedded", of_all)
    assert (len(embedded), set(embedded.values())) == (PENDING, {1})


async def _erasure(fleet: Fleet, client: Client, number: int) -> None:
    """What was planned is erased, each message once, and nothing else."""
    tenant_id = f"erased-{number}"
    await _ingest(client, tenant_id, 100, conversation_id="gone")
    planned = {row[0] for row in fetch(fleet.dsn, "select id::text from messages where tenant_id = %s", tenant_id)}
    request = erasure.PlanErasureRequest(tenant_id=tenant_id, conversation_id="gone")
    plan = (await client.erasure.PlanErasure(request, timeout=60)).erasure
    await _ingest(client, tenant_id, 5, conversation_id="gone")
    with ExitStack() as held:
        held.enter_context(locked(fleet.dsn, f"select from messages where tenant_id = '{tenant_id}' for update"))
        one = erasure.ApplyErasureRequest(tenant_id=tenant_id, erasure_id=plan.erasure_id)
        await client.erasure.ApplyErasure(one, timeout=60)
        await _kill(fleet, await fleet.at_work("erasure"), held, number)
    state = f"select state from erasures where id = '{plan.erasure_id}'"
    await fleet.until(state, "done", "erased")
    assert fleet.counts("erased", tenant_id) == dict.fromkeys(planned, 1)
    assert fetch(fleet.dsn, "select planned, erased from erasures where id = %s", plan.erasure_id) == [(100, 100)]


async def _graph(fleet: Fleet, client: Client, number: int) -> None:
    """It is built once: the build of the killed server goes on in Postgres, and the next finds it valid."""
    tenant_id = f"large-{number}"
    index = "select max(indexrelid::regclass::text || ' ' || indexrelid) "
    index += "from pg_index where not indisvalid and indrelid = 'message_embeddings'::regclass"
    with ExitStack() as held:
        held.enter_context(locked(fleet.dsn, "lock table message_embeddings in row exclusive mode"))
        await _ingest(client, tenant_id, LARGE)
        building = await until(lambda: fetch(fleet.dsn, index)[0][0], 60, "an index is being built")
        await _kill(fleet, await fleet.at_work("graphs"), held, number)
    await fleet.until(f"select max(state) from tenant_graphs where tenant_id = '{tenant_id}'", "ready", "built")
    name, oid = building.split()
    assert fetch(fleet.dsn, "select oid::text from pg_class where relname = %s", name) == [(oid,)]
    assert list(fleet.counts("built", tenant_id).values()) == [1]


async def _reembedding(fleet: Fleet, client: Client, number: int) -> None:
    """Each message gets the new model's vector once."""
    tenant_id = f"erased-{number}"
    await _ingest(client, tenant_id, 100)
    before = fleet.counts("embedded", tenant_id)
    with ExitStack() as held:
        held.enter_context(locked(fleet.dsn, "lock table message_embeddings in share mode"))
        request = embedding.StartReembeddingRequest(tenant_id=tenant_id)
        begun = await client.embedding.StartReembedding(request, timeout=60)
        await _kill(fleet, await fleet.at_work("reembed"), held, number)
    await fleet.until("select state from reembeddings order by id desc limit 1", "ready", "all have new vectors")
    new = fleet.counts("embedded", tenant_id) - before
    assert (len(new), set(new.values())) == (105, {1})
    async with _client(fleet) as another:
        cancel = embedding.CancelReembeddingRequest(reembedding_id=begun.id)
        await another.embedding.CancelReembedding(cancel, timeout=60)


async def _sweeps(fleet: Fleet, client: Client, number: int) -> None:
    """One in a period, whoever is killed, and each message is archived once."""
    tenant_id = f"old-{number}"
    old = datetime.now(UTC) - timedelta(days=60)
    await _ingest(client, tenant_id, 50, created_at=old)
    (before,) = fetch(fleet.dsn, "select coalesce(max(id), 0) from retention_runs")[0]
    with ExitStack() as held:
        held.enter_context(locked(fleet.dsn, "lock table idempotency_keys in access exclusive mode"))
        fetch(fleet.dsn, "delete from leases where name = 'retention'")
        await _kill(fleet, await fleet.at_work("retention"), held, number)
    await asyncio.sleep(PERIOD_SECONDS)  # a lease of the dead that is over at once would let two sweeps into one period
    swept = f"select count(*) >= 2 from retention_runs where id > {before} and status = 'ok'"
    await fleet.until(swept, True, "swept again")
    archived = fleet.counts("archived", tenant_id)
    assert (len(archived), set(archived.values())) == (50, {1})
    gaps = "select started_at - lag(started_at) over (order by id) from retention_runs order by id"
    early = [gap for (gap,) in fetch(fleet.dsn, gaps) if gap and gap.total_seconds() < PERIOD_SECONDS]
    assert not early, "two sweeps in one period"
    await until(lambda: _keeps_from_sweeping(fleet.dsn), 60, "nobody sweeps")


def _counted(fleet: Fleet) -> str:
    """How much was done of everything, and how much of it twice."""
    work: Counter[tuple[str, str, str]] = Counter()
    for kind, tenant_id, thing in fetch(fleet.dsn, "select kind, coalesce(tenant_id, ''), item from work"):
        work[kind, tenant_id, thing] += 1
    told = []
    for kind in ("embedded", "archived", "erased", "built"):
        times = [count for (done, _, _), count in work.items() if done == kind]
        told.append(f"{len(times)} {kind}, {sum(count > 1 for count in times)} of them twice")
    again = sum(count > 1 for (kind, _, _), count in work.items() if kind == "taken")
    return f"{'; '.join(told)}; {again} taken over from the killed"


@asynccontextmanager
async def _client(fleet: Fleet) -> AsyncIterator[Client]:
    """Of the server that has been there for longest."""
    async with connected(next(iter(fleet.alive.values())).address) as client:
        await until(client.is_serving, 60, "SERVING")
        yield client


def _keeps_from_sweeping(dsn: str) -> bool:
    """Takes the lease of sweeps for the test, once no server has it."""
    taken = "insert into leases values ('retention', %s, now() + interval '1 hour') on conflict do nothing returning 1"
    return bool(fetch(dsn, taken, uuid4()))


async def test_20_five_servers_share_jobs_and_are_killed(dsn: str, tmp_path: Path) -> None:
    with item(20, "SIGKILL of whoever works, of five servers") as result:
        fleet = Fleet(
            dsn,
            tmp_path,
            RETENTION_SCHEDULE_SECONDS=PERIOD_SECONDS,
            GRAPH_THRESHOLD=LARGE,
            GRAPH_CHECK_SECONDS=1,
            EMBEDDING_NEXT_DIMENSIONS=96,
            DATABASE_POOL_TIMEOUT_SECONDS=30,  # a machine may be busy, and is not what is tested
            LOG_LEVEL="ERROR",
        )
        assert _keeps_from_sweeping(dsn)
        try:
            for _ in range(SERVERS):
                fleet.begin()
            for server in list(fleet.alive.values()):
                async with connected(server.address) as client:
                    await until(client.is_serving, 60, "SERVING")
            for number in range(rounds("SHARED_JOBS", 2)):
                for kind in (_pending, _erasure, _graph, _reembedding, _sweeps):
                    result.tried += 1
                    async with _client(fleet) as client:
                        await kind(fleet, client, number)
                    result.held += 1
            result.note = _counted(fleet)
        finally:
            fleet.close()

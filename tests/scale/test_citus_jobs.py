"""What a server does over time with what it has stored, on a Citus cluster and on one Postgres: retention, a change of
language, a change of model. Each gives the same answers on both."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import context_pb2, policy_service_pb2, retention_pb2
from memory_layer.v1 import embedding_service_pb2 as embedding
from memory_layer.v1 import listing_pb2 as listing
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import transfer_service_pb2 as transfer
from tests.conftest import RunningServer, StartServer
from tests.integration.test_reembed import BOTH, NEW, reaches
from tests.integration.test_transfer import exported
from tests.projections import ADRIFT
from tests.scale.conftest import LOST, on_a_cluster
from tests.scale.same_answers import serialized

pytestmark = [on_a_cluster, pytest.mark.asyncio]

Sql = Callable[..., list[tuple[Any, ...]]]
Scenario = Callable[[RunningServer, Sql], Awaitable[list[Any]]]
Both = Callable[..., Awaitable[list[Any]]]

TENANTS = ("acme", "rival", "third")
NOW = datetime.now(UTC).replace(microsecond=0)
# How many of a tenant's messages the default policy archives and deletes.
LEAVE, GO = 10, 3
SAID = ("We ran past the Häuser", "bread and bees", "Wir laufen nach Hause", "the running of the bells")


def said(tenant: str) -> list[transfer.TransferMessage]:
    """Of a tenant: fresh, old, unimportant, pinned, long archived, expiring."""
    found = []
    for number in range(24):
        archived = NOW - timedelta(days=100) if number % 8 == 7 else None
        one = transfer.TransferMessage(
            id=str(UUID(int=(TENANTS.index(tenant) + 1 << 64) + number)),
            conversation_id=f"c-{number % 3}",
            user_id=f"u-{number % 2}",
            role=("user", "assistant")[number % 2],
            name=("Ann", None)[number % 2],
            content=f"{SAID[number % 4]} in turn {number} of {tenant}",
            importance=(0.9, 0.1, 0.5)[number % 3],
            pinned=number % 5 == 4,
            revision=1,
        )
        one.created_at.FromDatetime(NOW - timedelta(days=(0, 10, 45, 200)[number // 6], minutes=number))
        one.metadata.update({"n": number})
        if archived:
            one.archived_at.FromDatetime(archived)
        if number == 12:
            one.expires_at.FromDatetime(NOW + timedelta(days=400))
        found.append(one)
    return found


@pytest.fixture
def both(start_server: StartServer, rows: Sql, citus: str, on_citus: Sql) -> Iterator[Both]:
    """Plays a scenario over the same messages on one Postgres and on the cluster; its answers, which were the same."""

    async def play(scenario: Scenario, **settings: Any) -> list[Any]:
        answers = []
        for on, run, more in ((), rows, {}), ((citus,), on_citus, {"accept_data_loss_with": LOST}):
            async with start_server(*on, **settings, **more) as server:
                for tenant in TENANTS:
                    await server.transfer.Import(transfer.ImportRequest(tenant_id=tenant, messages=said(tenant)))
                await embedded(server)
                answers.append(await scenario(server, run))
                assert run(ADRIFT) == [(0,)]
        on_one, on_many = answers
        assert serialized(on_many) == serialized(on_one)
        return on_many

    yield play
    # The models of a cluster that the module shares.
    on_citus("truncate embedding_models restart identity cascade")


async def embedded(server: RunningServer) -> None:
    """Returns when every message has its vectors."""
    async with asyncio.timeout(60):
        for tenant in TENANTS:
            while (await server.memory.SearchMemories(asked(tenant))).pending:
                await asyncio.sleep(0.02)


def asked(tenant: str = "acme", **fields: Any) -> pb.SearchMemoriesRequest:
    request = pb.SearchMemoriesRequest(
        **({"tenant_id": tenant, "query": "who was running to the Haus?", "top_k": 50} | fields)
    )
    request.as_of.FromDatetime(NOW)
    return request


async def answered(server: RunningServer) -> list[Any]:
    """All that each tenant's searches, contexts and lists answer, and its export with vectors."""
    found = []
    for tenant in TENANTS:
        for fields in ({}, {"ranking": "hybrid"}, {"include_archived": True, "filter": 'role = "user"'}):
            found.append(await server.memory.SearchMemories(asked(tenant, **fields)))
        context = context_pb2.BuildContextRequest(tenant_id=tenant, query="the Haus", max_tokens=200)
        context.as_of.FromDatetime(NOW)
        found.append(await server.memory.BuildContext(context))
        everything = listing.ListMessagesRequest(tenant_id=tenant, include_archived=True)
        found.append(await server.memory.ListMessages(everything))
        found += await exported(server, tenant, include_embeddings=True, include_policy=True)
    return found


async def test_a_policy_is_tried_carried_out_and_undone(both: Both) -> None:
    """Simulation, dry run, archive, delete and restore, in batches that are smaller than what they go through."""

    async def scenario(server: RunningServer, _: Sql) -> list[Any]:
        found: list[Any] = []
        for days, threshold in ((30, 0.35), (5, 0.0), (36500, 0.95)):
            request = retention_pb2.SimulateRetentionRequest(tenant_id="acme", sample_size=5)
            request.retention.max_age_days, request.retention.importance_threshold = days, threshold
            for moment in (NOW, NOW - timedelta(days=50), NOW + timedelta(days=500)):
                request.as_of.FromDatetime(moment)
                found.append(await server.admin.SimulateRetention(request))
        run = admin.RunRetentionRequest(tenant_id="acme", actions=["archive", "delete"], dry_run=True)
        found.append(await server.admin.RunRetention(run))
        run.dry_run = False
        found += [await server.admin.RunRetention(run), *await answered(server)]
        for where in ('user_id = "u-1"', "metadata.n > 6"):
            for dry in (True, False):
                restore = retention_pb2.RestoreArchivedRequest(tenant_id="acme", filter=where, dry_run=dry)
                found.append(await server.admin.RestoreArchived(restore))
        return [*found, await server.admin.RunRetention(run), *await answered(server)]

    answers = await both(scenario, retention_batch_size=2)
    done = [one for one in answers if isinstance(one, admin.RunRetentionResponse)]
    assert (done[0].archived, done[0].deleted) == (done[1].archived, done[1].deleted) == (LEAVE, GO)
    restored = [one.restored for one in answers if isinstance(one, retention_pb2.RestoreArchivedResponse)]
    assert restored[0] == restored[1] > 0 < restored[2] == restored[3]
    assert done[2].archived == restored[1] + restored[3], "what came back is archived again"


async def test_every_tenant_is_swept_on_schedule(both: Both) -> None:
    async def scenario(server: RunningServer, run: Sql) -> list[Any]:
        swept = "select sum(archived), sum(deleted), max(tenants), max(failed) from retention_runs where status = 'ok'"
        async with asyncio.timeout(60):
            while run(swept) != [(LEAVE * 3, GO * 3, 3, 0)]:
                await asyncio.sleep(0.02)
        return await answered(server)

    await both(scenario, retention_schedule_seconds=0.2)


async def test_the_language_of_a_tenant_changes(both: Both) -> None:
    async def scenario(server: RunningServer, run: Sql) -> list[Any]:
        before = await answered(server)
        request = policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme", language="de")
        await server.policy.SetTenantPolicy(request)
        async with asyncio.timeout(60):
            while run("select next_config from tenant_vocabularies where config like 'german%%'") != [(None,)]:
                await asyncio.sleep(0.02)
        after = await answered(server)
        assert serialized(after[1:2]) != serialized(before[1:2]), "the words of acme are others"
        return before + after

    await both(scenario)


async def test_every_tenant_gets_the_vectors_of_another_model(both: Both) -> None:
    """One tenant first, then all; the old model is compared with the new one, and the old vectors go."""

    async def scenario(server: RunningServer, run: Sql) -> list[Any]:
        found: list[Any] = []
        for tenant in ("acme", None):
            started = await server.embedding.StartReembedding(embedding.StartReembeddingRequest(tenant_id=tenant))
            found.append(await reaches(server, "ready"))
            compare = embedding.CompareReembeddingRequest(reembedding_id=started.id)
            found.append(await server.embedding.CompareReembedding(compare))
            cut = embedding.CutOverReembeddingRequest(reembedding_id=started.id)
            await server.embedding.CutOverReembedding(cut)
            found += [await reaches(server, "done"), *await answered(server)]
        assert run("select distinct vector_dims(embedding) from message_embeddings") == [(NEW,)]
        return found

    answers = await both(scenario, **BOTH)
    assert [one.total for one in answers if hasattr(one, "previous_model")] == [24, 24, 72, 72]

"""On a Citus cluster the service answers as on one Postgres, and asks one shard. Runs where MEMORY_TEST_CITUS is a
superuser's DSN of a coordinator with workers: docs/citus.md says how to make one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.rows import dict_row

from memory_grpc.store.connections import PINS
from memory_grpc.store.distribution import distribute, plan
from memory_grpc.store.tenant_tables import DISTRIBUTED
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import context_pb2
from memory_layer.v1 import erasure_service_pb2 as erasure
from memory_layer.v1 import listing_pb2 as listing
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_service_pb2 as policy
from memory_layer.v1 import revision_pb2 as revision
from tests.across_shards import ALL_SHARDS
from tests.conftest import RunningServer, StartServer
from tests.integration import test_row_security as statements
from tests.integration.test_erasure import apply, verify
from tests.integration.test_ingest import eventually, message
from tests.integration.test_transfer import NOW, everything, exported, fill, imported, messages, revisions
from tests.scale.citus_cluster import migrated
from tests.scale.conftest import COORDINATOR, LOST, SHARDS, on_a_cluster
from tests.scale.same_answers import serialized

pytestmark = on_a_cluster

# Not run on Citus: graphs and word indexes are not built there.
NO_GRAPHS = {"graphs.sizes", "word_index.due", "word_index.count_messages"}


def test_a_dry_run_changes_nothing_and_a_second_run_finds_nothing_to_do() -> None:
    with migrated(COORDINATOR, "memory_test_citus_plan") as dsn:
        with psycopg.connect(dsn, application_name="memory-grpc") as server:
            (sentence,) = distribute(dsn).blocked
            assert re.match(r"Servers have 1 connections", sentence)
            server.execute("select 1")
        assert not distribute(dsn, dry_run=True).blocked
        with psycopg.connect(dsn, autocommit=True) as connection:
            assert not any(step.done for step in plan(connection).steps)
            connection.execute("create unique index only_once on messages (content)")
            (sentence,) = plan(connection).blocked
            assert sentence.startswith("The key only_once of messages does not hold tenant_id")
            connection.execute("drop index only_once")
        told: list[str] = []
        distribute(dsn, shards=SHARDS, tell=lambda step: told.append(step.table))
        assert tuple(told) == DISTRIBUTED
        assert all(step.done for step in distribute(dsn, tell=lambda _: pytest.fail("told again")).steps)


def test_what_was_stored_before_is_spread_and_nothing_stays_on_the_coordinator(start_server: StartServer) -> None:
    with migrated(COORDINATOR, "memory_test_citus_filled") as dsn:

        async def stored() -> list[bytes]:
            async with start_server(dsn, accept_data_loss_with=LOST) as server:
                for number in range(10):
                    await server.memory.IngestMessage(
                        message(f"turn {number} about bread", tenant_id=f"t-{number % 3}")
                    )
                return await listed(server)

        async def listed(server: RunningServer) -> list[bytes]:
            request = listing.ListMessagesRequest(tenant_id="t-1")
            return [one.SerializeToString() for one in (await server.memory.ListMessages(request)).messages]

        async def again() -> list[bytes]:
            async with start_server(dsn, accept_data_loss_with=LOST) as server:
                return await listed(server)

        before = asyncio.run(stored())
        assert distribute(dsn, shards=SHARDS).blocked == ()
        with psycopg.connect(dsn) as connection:
            for table in DISTRIBUTED:
                query = sql.SQL("select pg_relation_size({}::regclass)").format(sql.Literal(table))
                assert connection.execute(query).fetchone() == (0,), table
        assert asyncio.run(again()) == before
        assert len(before) == 3


@pytest.mark.asyncio
async def test_answers_are_those_of_one_postgres_byte_for_byte(
    start_server: StartServer, rows: Callable[..., Any], citus: str, on_citus: Callable[..., Any]
) -> None:
    asked = {"include_embeddings": True, "include_policy": True}
    async with start_server() as server:
        await fill(server, rows)
        done = await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
        assert done.archived > 0
        before = await exported(server, **asked)
        rows("delete from messages where expires_at <= now()")
        answers = await answered(server)
        (bats,) = [one for one in messages(before) if one.content == "turn 5 about bats"]
        history = await revisions(server, bats.id)
    async with start_server(citus, accept_data_loss_with=LOST) as server:
        assert (await imported(server, messages(before))).stored == 12
        await server.policy.SetTenantPolicy(
            policy.SetTenantPolicyRequest(
                tenant_id="acme", retention=before[1].policy.retention, ranking=before[1].policy.ranking
            )
        )
        assert serialized(await exported(server, **asked), "archived_at") == serialized(before, "archived_at")
        assert await revisions(server, bats.id) == history
        assert serialized(await answered(server), "archived_at") == serialized(answers, "archived_at")
    assert len(answers[0].items) == 12


async def answered(server: RunningServer) -> list[Any]:
    """Searches by both rankings and as of a moment, with filters; a context, and lists."""
    found: list[Any] = await everything(server)
    for where in ('metadata.n >= 4 AND role = "user"', 'metadata.nested.a = "x"', 'name = "Ann" OR pinned = true'):
        for ranking in ("semantic", "hybrid"):
            request = pb.SearchMemoriesRequest(
                tenant_id="acme", query="turn about bread", filter=where, ranking=ranking, include_archived=True
            )
            request.as_of.FromDatetime(NOW)
            found.append(await server.memory.SearchMemories(request))
    context = context_pb2.BuildContextRequest(tenant_id="acme", query="what about bread", max_tokens=500)
    context.as_of.FromDatetime(NOW)
    found.append(await server.memory.BuildContext(context))
    lists = [
        await server.memory.ListMessages(
            listing.ListMessagesRequest(tenant_id="acme", filter='metadata.nested.a = "x"')
        ),
        await server.memory.ListMessages(listing.ListMessagesRequest(tenant_id="acme", include_archived=True)),
        await server.memory.ListConversations(listing.ListConversationsRequest(tenant_id="acme")),
        await server.memory.ListUsers(listing.ListUsersRequest(tenant_id="acme")),
    ]
    return [*found, *lists]


@pytest.mark.asyncio
async def test_a_message_lives_its_life_there(
    start_server: StartServer, citus: str, on_citus: Callable[..., Any]
) -> None:
    async with start_server(citus, accept_data_loss_with=LOST) as server:
        kept = await server.memory.IngestMessage(message("bread and bees", tenant_id="rival"))
        request = message("I bake bread", user_id="u-7", request_id="6f3c1f5e-6a53-4a8e-9a3e-0d6f5b7a1c11")
        first = await server.memory.IngestMessage(request)
        assert await server.memory.IngestMessage(request) == first, "stored once"
        later = await server.memory.IngestMessage(message("I keep bees", user_id="u-7", embed_later=True))
        await eventually(lambda: on_citus("select count(*) from embedding_jobs") == [(0,)], seconds=30)
        assert (
            await server.memory.GetMessage(pb.GetMessageRequest(message_id=later.id))
        ).embedding_status == "completed"
        changed = await server.memory.UpdateMessage(
            revision.UpdateMessageRequest(
                message_id=first.id, tenant_id="acme", update_mask=["content"], content="I bake cakes"
            )
        )
        assert changed.content == "I bake cakes"
        swept = await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
        assert swept.archived == 0
        request = erasure.PlanErasureRequest(tenant_id="acme", user_id="u-7", sample_size=2)
        planned = await server.erasure.PlanErasure(request)
        assert planned.erasure.planned == 2
        done = await apply(server, planned)
        proof = await verify(server, done)
        assert proof.clean, proof
        left = await server.memory.ListMessages(listing.ListMessagesRequest(tenant_id="rival"))
        assert [one.id for one in left.messages] == [kept.id]
        assert on_citus("select tenant_id from messages") == [("rival",)]


Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def two_tenants(citus: str, on_citus: Callable[..., Any]) -> Iterator[Connection]:
    with psycopg.connect(citus, row_factory=dict_row, autocommit=True) as connection:
        register_vector(connection)
        connection.execute(PINS)
        connection.execute("set citus.propagate_set_commands = 'local'")
        connection.execute(
            "insert into embedding_models (name, revision, precision, dimensions, active) "
            "values ('m', 'r', 'p', 8, not exists (select from embedding_models where active)) on conflict do nothing"
        )
        for tenant, name in ((statements.OURS, "Ann"), (statements.THEIRS, "Bea")):
            statements.fill(connection, tenant, name)
        yield connection
        for table in ("reembedding_backlog", "tenant_models", "tenant_graphs", "audit_events"):
            connection.execute(f"delete from {table}".encode())


def test_every_statement_runs_and_asks_one_shard(two_tenants: Connection) -> None:
    wide, faults = set(), {}
    for name in statements.TOUCHING:
        query = statements.base(name)
        if query in NO_GRAPHS:
            continue
        text, values = statements.filled_in(name), statements.params(name)
        try:
            rows = run(two_tenants, query, "explain (costs off) " + text, values)
            explained = [row["QUERY PLAN"] for row in rows]
            run(two_tenants, query, text, values)
        except psycopg.Error as error:
            faults[name] = f"{type(error).__name__}: {error}"[:200]
        else:
            asked = [int(count) for count in re.findall(r"Task Count: (\d+)", "\n".join(explained))]
            if max(asked, default=1) > 1:
                wide.add(query)
    assert faults == {}
    assert wide == ALL_SHARDS.keys() - NO_GRAPHS


def run(connection: Connection, query: str, text: str, values: Any) -> list[dict[str, Any]]:
    """What a statement answers as the server sends it; everything is rolled back."""
    of_all = query in ALL_SHARDS or query in statements.WORKERS_ONLY
    with connection.transaction(force_rollback=True):
        if of_all:
            connection.execute("set local role memory_layer_worker")
        else:
            statements.as_tenant(connection, statements.OURS)
        cursor = connection.execute(text.encode(), values)
        return cursor.fetchall() if cursor.description else []


def test_row_level_security_holds_on_the_workers(two_tenants: Connection) -> None:
    """Without their conditions, and so asking every shard, statements of a tenant find nothing of the other's."""
    for table in DISTRIBUTED:
        with two_tenants.transaction(force_rollback=True):
            statements.as_tenant(two_tenants, statements.OURS)
            found = two_tenants.execute(f"select distinct tenant_id from {table}".encode()).fetchall()
            assert found == [{"tenant_id": statements.OURS}], table
        with two_tenants.transaction(force_rollback=True):
            statements.as_tenant(two_tenants, None)
            assert two_tenants.execute(f"select from {table}".encode()).rowcount == 0

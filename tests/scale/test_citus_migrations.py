"""Migrations of tables that are distributed: each changes every node, or none."""

from __future__ import annotations

import asyncio

import pytest
from psycopg.conninfo import make_conninfo

from memory_grpc.errors import StartupError
from memory_grpc.store import citus as citus_store
from memory_grpc.store import distribution
from memory_grpc.store.distribution import distribute
from memory_grpc.store.migrations import Migration, load, migrate
from memory_grpc.store.tenant_tables import DISTRIBUTED
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import StartServer
from tests.integration.test_ingest import message
from tests.scale.citus_cluster import migrated
from tests.scale.citus_workers import run, workers
from tests.scale.conftest import COORDINATOR, LOST, SHARDS, on_a_cluster

pytestmark = on_a_cluster

# A column, an index made anew, a policy, a function, and rows that it changes; with what decision 17 asks for.
CHANGES = """
-- A mood; and a semicolon.
alter table messages add column mood text;
drop index messages_pinned;
create index messages_pinned on messages (tenant_id, user_id, created_at, id) where pinned;
create policy nobody on messages as restrictive to memory_layer_worker using (mood is distinct from ';');
create function mood_of(content text) returns text language sql immutable parallel safe as $$
    select upper(content); -- loud
$$;
grant execute on function mood_of to memory_layer_tenant, memory_layer_worker;
alter table messages no force row level security;
update messages set mood = mood_of(content);
alter table messages force row level security;
"""
NEW_TABLE = """
create table tenant_moods (
    tenant_id text collate "C" not null, message_id uuid not null, mood text, primary key (tenant_id, message_id),
    foreign key (tenant_id, message_id) references messages (tenant_id, id) on delete cascade
);
alter table tenant_moods enable row level security, force row level security;
create policy one_tenant on tenant_moods to memory_layer_tenant
    using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
"""
COLUMNS = (
    "select count(*) from pg_attribute where attrelid::regclass::text ~ '^messages(_[0-9]+)?$' and attname = 'mood'"
)
INDEXES = "select count(*) from pg_class where relkind = 'i' and relname ~ '^messages_pinned(_[0-9]+)?$'"
KEYS = "select count(*) from pg_constraint where contype = 'f' and conrelid::regclass::text ~ '^tenant_moods_[0-9]+$'"


def on_nodes(dsn: str, query: str) -> int:
    """A count over the shards, and the tables that stand for them on every node."""
    nodes = [{}, *({"host": one.host, "port": one.port} for one in workers(dsn))]
    at = [make_conninfo(dsn, options="-c citus.override_table_visibility=off", **node) for node in nodes]
    return sum(run(one, query)[0][0] for one in at)


def test_each_node_is_changed_or_none(start_server: StartServer) -> None:
    with migrated(COORDINATOR, "memory_test_citus_migrated") as dsn:
        distribute(dsn, shards=SHARDS)

        async def stores(content: str) -> None:
            async with start_server(dsn, accept_data_loss_with=LOST) as server:
                for tenant in ("a", "b", "c"):
                    await server.memory.IngestMessage(message(content, tenant_id=tenant))
                    request = pb.SearchMemoriesRequest(tenant_id=tenant, query=content)
                    assert (await server.memory.SearchMemories(request)).items[0].content == content

        asyncio.run(stores("bread and bees"))
        fails = Migration(9001, "fails", "1", CHANGES + "alter table messages add column mood text;")
        with pytest.raises(StartupError, match="refused a migration"):
            migrate(dsn, [*load(), fails])
        assert on_nodes(dsn, COLUMNS) == 0
        everywhere = on_nodes(dsn, INDEXES)
        assert everywhere > SHARDS
        assert migrate(dsn, [*load(), Migration(9001, "changes", "2", CHANGES)]) == ["9001_changes"]
        assert on_nodes(dsn, COLUMNS) == on_nodes(dsn, INDEXES) == everywhere
        assert run(dsn, "select distinct mood from messages") == [("BREAD AND BEES",)]


def test_a_new_table_is_distributed_before_a_server_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with migrated(COORDINATOR, "memory_test_citus_new_table") as dsn:
        distribute(dsn, shards=SHARDS)
        assert citus_store.asked_whether_distributed(dsn)
        migrate(dsn, [*load(), Migration(9001, "moods", "1", NEW_TABLE)])
        for module in (citus_store, distribution):
            monkeypatch.setattr(module, "DISTRIBUTED", (*DISTRIBUTED, "tenant_moods"))
        # What the code knows of migrations is not this one.
        monkeypatch.setattr(distribution, "missing", lambda _: 0)
        with pytest.raises(StartupError, match="run memory-grpc distribute"):
            citus_store.asked_whether_distributed(dsn)
        found = distribute(dsn)
        assert [step.table for step in found.steps if not step.done] == ["tenant_moods"]
        assert found.blocked == ()
        assert citus_store.asked_whether_distributed(dsn)
        assert on_nodes(dsn, KEYS) == SHARDS

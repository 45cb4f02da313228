"""Row-level security on other people's servers: users without rights, roles that are missing, owners that are bound."""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from memory_grpc.app import running
from memory_grpc.errors import StartupError
from memory_grpc.local.cluster import binaries
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.store.migrations import load, migrate
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import embedding_service_pb2 as embedding
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2
from tests.conftest import settings_for_tests
from tests.integration.test_migrations import migration
from tests.stubs import Stubs

ROLES = "memory_layer_tenant, memory_layer_worker"
_numbers = itertools.count()


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of this module's own, where no migration has made the roles yet; the superuser's DSN."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("fresh"))
    try:
        yield server.start()
    finally:
        server.stop()


def run(dsn: str, text: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(text.encode(), values or None)
        return cursor.fetchall() if cursor.description else []


NewOwner = Callable[[str], str]


@pytest.fixture
def new_owner(fresh: str) -> Iterator[NewOwner]:
    """Makes a user with the attributes given, and a database of its own; returns the user's DSN.

    The cluster has no roles of the service before and after each test.
    """
    made: list[str] = []

    def make(attributes: str) -> str:
        name = f"owner_{next(_numbers)}"
        made.append(name)
        run(fresh, f"create role {name} login nosuperuser {attributes}")
        run(fresh, f"create database {name} owner {name}")
        run(make_conninfo(fresh, dbname=name), "create extension vector")  # not a trusted one: an administrator's
        return make_conninfo(fresh, dbname=name, user=name)

    yield make
    for name in made:
        run(fresh, f"drop database {name} with (force)")
    for (name,) in run(fresh, "select rolname from pg_roles where rolname ~ '^(memory_layer|app)_'"):
        run(fresh, f"drop role {name}")
    for name in made:
        run(fresh, f"drop role {name}")


def make_roles(fresh: str, user: str) -> None:
    """What the sentence asks an administrator for."""
    run(fresh, "create role memory_layer_tenant nologin")
    run(fresh, "create role memory_layer_worker nologin")
    run(fresh, f"grant {ROLES} to {user} with inherit false, set true")


def user_of(dsn: str) -> str:
    return str(run(dsn, "select current_user")[0][0])


def test_a_user_who_may_make_roles_makes_them(new_owner: NewOwner) -> None:
    dsn = new_owner("createrole")
    assert len(migrate(dsn)) == len(load())
    assert run(dsn, "select rolname from pg_roles where rolname ~ '^memory_layer_' and not rolcanlogin order by 1") == [
        ("memory_layer_tenant",),
        ("memory_layer_worker",),
    ]
    assert migrate(dsn) == []


def test_a_user_who_may_not_is_told_what_to_ask_for(fresh: str, new_owner: NewOwner) -> None:
    dsn = new_owner("nocreaterole")
    for _ in range(2):
        with pytest.raises(StartupError) as refused:
            migrate(dsn)
        text = str(refused.value)
        assert re.fullmatch(r"The user of MEMORY_DATABASE_URL can .*\.", text)
        assert user_of(dsn) not in text
        assert run(dsn, "select to_regclass('message_lexemes')::text") == [("message_lexemes",)]
        assert run(dsn, "select max(version) from schema_migrations where name = 'row_security'") == [(None,)]
    # What the sentence says, word for word, is enough.
    for statement in re.findall(r"(CREATE ROLE \w+ NOLOGIN|GRANT .* SET TRUE);", text):
        run(fresh, statement.replace("that user", user_of(dsn)))
    assert "0004_row_security" in migrate(dsn)


def test_membership_that_was_taken_away_is_told_at_the_next_start(fresh: str, new_owner: NewOwner) -> None:
    dsn = new_owner("nocreaterole")
    make_roles(fresh, user_of(dsn))
    migrate(dsn)
    run(fresh, f"revoke memory_layer_tenant from {user_of(dsn)}")
    with pytest.raises(StartupError, match="GRANT memory_layer_tenant"):
        migrate(dsn)


def test_databases_that_are_migrated_at_once_make_the_roles_once(fresh: str, new_owner: NewOwner) -> None:
    dsns = [new_owner("nocreaterole") for _ in range(4)]
    superusers = [make_conninfo(dsn, user="postgres") for dsn in dsns]
    with ThreadPoolExecutor(len(dsns)) as threads:
        assert [len(applied) for applied in threads.map(migrate, superusers)] == [len(load())] * len(dsns)


def test_the_right_to_make_roles_does_not_reach_those_that_another_made(fresh: str, new_owner: NewOwner) -> None:
    first, second = new_owner("createrole"), new_owner("createrole")
    migrate(first)
    with pytest.raises(StartupError, match="GRANT memory_layer_tenant"):
        migrate(second)
    run(fresh, f"grant {ROLES} to {user_of(second)} with inherit false, set true")
    assert "0004_row_security" in migrate(second)


def test_the_owner_is_bound_too_and_cascades_work_all_the_same(fresh: str, new_owner: NewOwner) -> None:
    """The rows of a message go with it: foreign keys act with the owner's rights, and FORCE does not bind them."""
    dsn = new_owner("nocreaterole")
    make_roles(fresh, user_of(dsn))
    migrate(dsn)
    superuser = make_conninfo(fresh, dbname=user_of(dsn))
    run(
        superuser,
        "insert into embedding_models (name, revision, precision, dimensions, active) values ('m', 'r', 'p', 2, true);"
        "insert into messages select t, gen_random_uuid(), 'c', 'user', null, 'hi', '{}', 0.5, 'completed', now(), "
        "now() from (values ('a'), ('b')) as tenants (t);"
        "insert into message_embeddings "
        "select tenant_id, id, now(), 0.5, text_key('c'), 0, 'infinity', 0, 1, false, 'u', '[1,2]' from messages;"
        "insert into message_lexemes select tenant_id, id, 'simple', 0, 'c', now(), null, 1, 1, 'hi' from messages",
    )
    for table in ("messages", "message_embeddings", "message_lexemes"):
        assert run(dsn, f"select count(*) from {table}") == [(0,)]
        assert run(dsn, f"with gone as (delete from {table} returning 1) select count(*) from gone") == [(0,)]
    with psycopg.connect(dsn) as connection:
        connection.execute("set local role memory_layer_tenant")
        connection.execute("set local memory.tenant_id = 'a'")
        assert connection.execute("delete from messages").rowcount == 1
        with pytest.raises(psycopg.errors.ForeignKeyViolation), connection.transaction():
            connection.execute(
                "insert into message_embeddings "
                "values ('a', gen_random_uuid(), now(), 0.5, 0, 0, 'infinity', 0, 1, false, 'u', '[1,2]')"
            )
    for table in ("messages", "message_embeddings", "message_lexemes"):
        assert run(superuser, f"select tenant_id from {table}") == [("b",)]


def test_a_user_without_rights_is_told_how_words_were_stored_before(fresh: str, new_owner: NewOwner) -> None:
    dsn = new_owner("nocreaterole")
    make_roles(fresh, user_of(dsn))
    migrate(dsn, [migration for migration in load() if migration.version < 20])
    superuser = make_conninfo(fresh, dbname=user_of(dsn))
    run(
        superuser,
        "insert into messages select t, gen_random_uuid(), 'c', 'user', null, 'hi', '{}', 0.5, 'pending', now(), now() "
        "from (values ('a'), ('a'), ('b')) as tenants (t);"
        "insert into message_lexemes select tenant_id, id, 'simple', 0, 'c', now(), null, 1, 1, 'hi' from messages;"
        "insert into message_lexemes "
        "select tenant_id, id, 'english', 0, 'c', now(), null, 1, 1, 'hi' from messages where tenant_id = 'a' limit 1",
    )
    migrate(dsn)
    found = run(superuser, "select tenant_id, config, next_config, former from tenant_vocabularies order by tenant_id")
    assert found == [("a", "simple", None, ["english"]), ("b", "simple", None, [])]


def test_a_migration_that_would_silently_find_no_rows_fails(fresh: str, new_owner: NewOwner) -> None:
    dsn = new_owner("nocreaterole")
    make_roles(fresh, user_of(dsn))
    migrate(dsn)
    blind = migration(load()[-1].version + 1, "update messages set content = ''")
    with pytest.raises(StartupError, match="InsufficientPrivilege"):
        migrate(dsn, [*load(), blind])
    # As decision 17 says to write it.
    text = (
        "alter table messages no force row level security; update messages set content = ''; "
        "alter table messages force row level security;"
    )
    assert migrate(dsn, [*load(), migration(load()[-1].version + 1, text)])


def test_a_backup_as_the_worker_holds_every_row_and_one_as_the_owner_fails(fresh: str, new_owner: NewOwner) -> None:
    dsn = new_owner("nocreaterole")
    make_roles(fresh, user_of(dsn))
    migrate(dsn)
    run(
        make_conninfo(fresh, dbname=user_of(dsn)),
        "insert into messages select t, gen_random_uuid(), 'c', 'user', null, 'kept ' || t, '{}', 0.5, 'completed', "
        "now(), now() from (values ('a'), ('b')) as tenants (t)",
    )

    def dump(*options: str) -> subprocess.CompletedProcess[str]:
        command = [binaries() / "pg_dump", "--data-only", *options, f"-d{dsn}"]
        return subprocess.run(command, capture_output=True, text=True)

    as_worker = dump("--enable-row-security", "--role=memory_layer_worker")
    assert as_worker.returncode == 0, as_worker.stderr
    assert all(text in as_worker.stdout for text in ("kept a", "kept b", "4\trow_security"))
    as_owner = dump()
    assert as_owner.returncode != 0
    assert "row-level security" in as_owner.stderr


@pytest.mark.asyncio
@pytest.mark.parametrize("login", ["owner", "another user"])
async def test_the_service_works_as_a_user_without_rights(fresh: str, new_owner: NewOwner, login: str) -> None:
    """Everything that the service does, as the owner who is no superuser, and as a user who owns nothing."""
    dsn = new_owner("nocreaterole")
    make_roles(fresh, user_of(dsn))
    migrate(dsn)
    if login == "another user":
        name = f"app_{user_of(dsn)}"
        run(fresh, f"create role {name} login")
        run(fresh, f"grant {ROLES} to {name} with inherit false, set true")
        run(dsn, f"grant select on schema_migrations to {name}")
        dsn = make_conninfo(dsn, user=name)
    # Building a graph is the owner's.
    threshold = 5 if login == "owner" else 0
    settings = settings_for_tests(retention_schedule_seconds=0.2, graph_threshold=threshold, graph_check_seconds=0.2)
    async with (
        running(settings, dsn) as application,
        grpc.aio.insecure_channel(f"127.0.0.1:{application.grpc_port}") as channel,
        asyncio.timeout(60),
    ):
        stubs = Stubs(channel)
        for tenant in ("a", "b"):
            await write_and_read(stubs.memory, tenant)
        while threshold and {graph.state for graph in await application.operations.graphs.all("b")} != {"ready"}:
            await asyncio.sleep(0.05)
        await administer(stubs)


def message(tenant: str, content: str, **more: Any) -> pb.IngestMessageRequest:
    return pb.IngestMessageRequest(
        tenant_id=tenant, conversation_id="c", role="user", content=content, importance_override=1.0, **more
    )


async def write_and_read(memory: Any, tenant: str) -> None:
    """One by one, twice the same, in a batch, in a stream and later; fetched, and found by both rankings."""
    first = message(tenant, f"bread of {tenant}", request_id=str(uuid4()), name="Ann")
    stored = await memory.IngestMessage(first)
    assert (await memory.IngestMessage(first)).id == stored.id
    batch = pb.BatchIngestMessagesRequest(messages=[message(tenant, f"{n} cheeses") for n in range(3)])
    assert len((await memory.BatchIngestMessages(batch)).messages) == 3
    stream = iter([pb.StreamIngestRequest(message=message(tenant, f"streamed {n}")) for n in range(3)])
    assert len([acknowledged async for acknowledged in memory.StreamIngest(stream)]) == 3
    later = await memory.IngestMessage(message(tenant, "milk later", embed_later=True))
    assert later.embedding_status == "pending"
    while (await memory.GetMessage(pb.GetMessageRequest(message_id=later.id))).embedding_status != "completed":
        await asyncio.sleep(0.02)
    for ranking in ("semantic", "hybrid"):
        request = pb.SearchMemoriesRequest(
            tenant_id=tenant, query="bread", top_k=100, ranking=ranking, neighbours=2, include_archived=True
        )
        found = await memory.SearchMemories(request)
        assert found.total == 8
        assert {hit.content for hit in found.items} >= {f"bread of {tenant}", "0 cheeses", "streamed 0", "milk later"}
    assert (await memory.GetMessage(pb.GetMessageRequest(message_id=stored.id))).tenant_id == tenant
    with pytest.raises(grpc.aio.AioRpcError) as hidden:
        await memory.GetMessage(pb.GetMessageRequest(message_id=stored.id, tenant_id="nobody"))
    assert hidden.value.code() is grpc.StatusCode.NOT_FOUND


async def administer(stubs: Stubs) -> None:
    """Policies, retention of one tenant, the scheduled sweep of all, retries, health."""
    everything = policy_pb2.RetentionPolicy(max_age_days=0, delete_after_days=0)
    policy = policy_service_pb2.SetTenantPolicyRequest(tenant_id="a", retention=everything)
    assert (await stubs.policy.SetTenantPolicy(policy)).retention.max_age_days == 0
    retry = embedding.RetryFailedEmbeddingsRequest(tenant_id="a")
    assert (await stubs.embedding.RetryFailedEmbeddings(retry)).queued == 0
    run_now = admin.RunRetentionRequest(tenant_id="a", actions=["archive", "delete"])
    done = await stubs.admin.RunRetention(run_now)
    # The scheduled sweep may have come first: then there is nothing left to do.
    assert done.archived in {0, 8}
    while (await search(stubs.memory, "a")).total != 0:
        await stubs.admin.RunRetention(run_now)
    assert (await search(stubs.memory, "b")).total == 8
    unset = policy_service_pb2.SetTenantPolicyRequest(tenant_id="a")
    assert not (await stubs.policy.SetTenantPolicy(unset)).overrides
    while (health := await stubs.admin.GetHealth(admin.GetHealthRequest())).retention.last_status != "ok":
        await asyncio.sleep(0.02)
    assert health.status == "ok"


async def search(memory: Any, tenant: str) -> Any:
    return await memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id=tenant, query="bread", top_k=100))

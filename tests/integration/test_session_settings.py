"""What a role, a database or the environment has set for its sessions changes nothing that the service does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from memory_grpc.app import running
from memory_grpc.errors import StartupError
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.migrations import migrate
from memory_layer.v1 import index_service_pb2 as index
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import until
from tests.conftest import StartServer, settings_for_tests
from tests.stubs import Stubs

Rows = Callable[..., list[tuple[Any, ...]]]

ODD = {
    "datestyle": "SQL, DMY",
    "intervalstyle": "iso_8601",
    "timezone": "Asia/Kolkata",
    "client_encoding": "LATIN1",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "extra_float_digits": "-3",
    "row_security": "off",
    "default_transaction_isolation": "serializable",
    "idle_session_timeout": "1min",
    "transaction_timeout": "1min",
    "search_path": '"$user", public',
}
PINNED = {
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "row_security": "on",
    "default_transaction_isolation": "read committed",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    "search_path": "public, pg_temp",
}


def set_for_sessions(dsn: str, settings: dict[str, str]) -> None:
    """As ``alter database … set`` does, for those that connect from now on."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        for setting, value in settings.items():
            form = "alter database {} set {} = {}"
            # A path is a list; in one pair of quotes it would be one schema.
            given = sql.SQL(value) if setting == "search_path" else sql.Literal(value)  # type: ignore[arg-type]
            connection.execute(sql.SQL(form).format(name, sql.Identifier(setting), given))


async def shown(connection: psycopg.AsyncConnection[Any]) -> dict[str, str]:
    found = {}
    for name in PINNED:
        row = await (await connection.execute("select current_setting(%s) as value", [name])).fetchone()
        found[name] = row["value"]
    return found


@pytest.mark.asyncio
@pytest.mark.parametrize("where", ["database", "options"])
async def test_every_connection_is_set_to_what_the_service_needs(dsn: str, where: str) -> None:
    if where == "database":
        set_for_sessions(dsn, ODD)
    else:
        given = {name: value for name, value in ODD.items() if name not in ("search_path", "client_encoding")}
        options = " ".join(f"-c {name}={value}".replace(", ", ",\\ ") for name, value in given.items())
        dsn = make_conninfo(dsn, options=options, client_encoding="LATIN1")
    async with await psycopg.AsyncConnection.connect(dsn, row_factory=psycopg.rows.dict_row) as plain:
        assert (await shown(plain))["datestyle"] == "SQL, DMY", "it is set"
    database = Database(dsn, min_size=1, max_size=2, max_waiting=10, timeout_seconds=5)
    await database.open()
    try:
        async with database.pool.connection() as pooled:
            assert await shown(pooled) == PINNED
        async with database.maintenance() as connection:
            assert await shown(connection) == PINNED
    finally:
        await database.close()


@pytest.mark.asyncio
async def test_messages_are_stored_and_found_whatever_the_sessions_are_set_to(
    dsn: str, start_server: StartServer
) -> None:
    set_for_sessions(dsn, ODD)
    async with start_server() as server:
        said = "Grüße \\ und ' und 😀 am 3.4."
        sent = await server.memory.IngestMessage(
            pb.IngestMessageRequest(tenant_id="t", conversation_id="c", role="user", content=said)
        )
        for ranking in ("semantic", "hybrid"):
            found = await server.memory.SearchMemories(
                pb.SearchMemoriesRequest(tenant_id="t", query="Grüße", ranking=ranking)
            )
            assert [(item.message_id, item.content) for item in found.items] == [(sent.id, said)]


@pytest.mark.asyncio
async def test_a_schema_named_like_a_role_is_not_looked_in(database: Database, rows: Rows) -> None:
    """`$user` is another's name once a transaction has taken its role."""
    rows("create schema memory_layer_worker")
    rows("grant usage on schema memory_layer_worker to public")
    rows("create view memory_layer_worker.messages as select 1 as trap")
    async with database.transaction(tenant=EVERY_TENANT) as tx:
        connection = tx._connection
        row = await (await connection.execute("select to_regclass('messages')::text as found")).fetchone()
    assert row == {"found": "messages"}


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["", "public", "public, extensions"])
async def test_pgvector_in_a_schema_of_its_own(empty_dsn: str, path: str) -> None:
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("create schema extensions")
        connection.execute("create extension vector schema extensions")
    if path:
        set_for_sessions(empty_dsn, {"search_path": path})
    settings = settings_for_tests(graph_threshold=2, graph_check_seconds=0.1)
    async with running(settings, empty_dsn) as application:
        async with application.database.transaction(tenant=EVERY_TENANT) as tx:
            row = await (await tx._connection.execute("select current_setting('search_path') as path")).fetchone()
        assert row == {"path": "public, extensions, pg_temp"}
        async with grpc.aio.insecure_channel(f"127.0.0.1:{application.grpc_port}") as channel:
            client = Stubs(channel)
            for content in ("tea with milk", "coffee, black", "water"):
                await client.memory.IngestMessage(
                    pb.IngestMessageRequest(tenant_id="t", conversation_id="c", role="user", content=content)
                )
            for ranking in ("semantic", "hybrid"):
                request = pb.SearchMemoriesRequest(tenant_id="t", query="tea with milk", ranking=ranking, top_k=1)
                assert [item.content for item in (await client.memory.SearchMemories(request)).items] == [
                    "tea with milk"
                ]

            async def built() -> bool:
                graphs = (await client.index.ListGraphs(index.ListGraphsRequest())).graphs
                return [graph.state for graph in graphs] == ["ready"]

            await until(built, 30)


def run(dsn: str, text: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(text.encode())


@pytest.fixture
def owner(template: str, empty_dsn: str) -> Iterator[str]:
    """A user without rights of an administrator, for whom alone pgvector stands in a schema; the user's DSN."""
    name = conninfo_to_dict(empty_dsn)["dbname"]
    run(template, f"create role {name}_owner login nosuperuser")
    run(template, f"grant memory_layer_tenant, memory_layer_worker to {name}_owner with inherit false, set true")
    run(template, f"alter database {name} owner to {name}_owner")
    run(empty_dsn, "create schema extensions")
    run(empty_dsn, "create extension vector schema extensions")
    run(empty_dsn, f"grant usage on schema extensions to {name}_owner")
    yield make_conninfo(empty_dsn, user=f"{name}_owner")
    run(empty_dsn, f"drop owned by {name}_owner cascade")
    run(template, f"alter database {name} owner to postgres")
    run(template, f"drop role {name}_owner")


def test_a_schema_that_the_service_s_roles_may_not_use_is_told_in_a_sentence(empty_dsn: str, owner: str) -> None:
    with pytest.raises(StartupError) as told:
        migrate(owner)
    statement = "GRANT USAGE ON SCHEMA extensions TO memory_layer_tenant, memory_layer_worker"
    assert f"run {statement};" in str(told.value)
    run(empty_dsn, statement)
    assert migrate(owner) == []


def test_a_schema_that_the_user_may_hand_on_is_handed_on(empty_dsn: str, owner: str) -> None:
    user = conninfo_to_dict(owner)["user"]
    run(empty_dsn, f"grant usage on schema extensions to {user} with grant option")
    assert migrate(owner)
    with psycopg.connect(empty_dsn) as connection:
        row = connection.execute("select has_schema_privilege('memory_layer_tenant', 'extensions', 'usage')").fetchone()
    assert row == (True,)


def test_a_path_without_a_schema_is_told_in_a_sentence(empty_dsn: str) -> None:
    set_for_sessions(empty_dsn, {"search_path": "nowhere"})
    with pytest.raises(StartupError, match="search_path"):
        migrate(empty_dsn)

"""A database that answers and takes no writes: a managed one whose disk is full, a standby after a failover."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from psycopg import sql

from memory_grpc.app import running
from memory_grpc.errors import StartupError, StoreReadOnly
from memory_grpc.store.migrations import migrate
from memory_layer.v1 import admin_service_pb2 as apb
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import until
from tests.conftest import StartRest, settings_for_tests

Switch = Callable[[str, bool], None]


@pytest.fixture
def read_only() -> Iterator[Switch]:
    """Has a database take no writes, or take them again, from every connection."""

    def switch(dsn: str, on: bool) -> None:
        with psycopg.connect(dsn, autocommit=True, options="-c default_transaction_read_only=off") as connection:
            name = sql.Identifier(connection.info.dbname)
            form = "alter database {} set default_transaction_read_only = {}"
            connection.execute(sql.SQL(form).format(name, sql.Literal(on)))
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )

    yield switch


@pytest.mark.asyncio
async def test_writes_are_told_to_try_again_and_reads_are_served(start_rest: StartRest, read_only: Switch) -> None:
    async with start_rest() as rest:
        server = rest.server
        message = pb.IngestMessageRequest(tenant_id="t", conversation_id="c", role="user", content="kept")
        await server.memory.IngestMessage(message)
        read_only(server.dsn, True)

        async def database() -> Any:
            return (await server.admin.GetHealth(apb.GetHealthRequest())).database

        async def is_read_only() -> bool:
            return await database() == "read_only"

        await until(is_read_only)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.memory.IngestMessage(message)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert refused.value.details() == "The database accepts no writes at the moment; try again."
        info = error_details_pb2.ErrorInfo()
        status: Any = rpc_status.from_call(refused.value)
        assert status.details[0].Unpack(info)
        assert info.reason == "DATABASE_UNAVAILABLE"
        body = {"tenant_id": "t", "conversation_id": "c", "role": "user", "content": "more"}
        assert (await rest.http.post("/v1/messages", json=body)).status_code == 503
        health = (await rest.http.get("/v1/admin/health")).json()
        assert (health["status"], health["database"]) == ("degraded", "read_only")
        found = await rest.http.get("/v1/memory/search", params={"tenant_id": "t", "query": "kept"})
        assert [item["content"] for item in found.json()["items"]] == ["kept"]

        read_only(server.dsn, False)

        async def is_ok() -> bool:
            return await database() == "ok"

        await until(is_ok)
        assert (await rest.http.post("/v1/messages", json=body)).status_code == 202


@pytest.mark.asyncio
async def test_a_start_on_it_says_so(dsn: str, empty_dsn: str, read_only: Switch) -> None:
    read_only(empty_dsn, True)
    with pytest.raises(StartupError, match="accepts no writes at the moment, and has to be migrated"):
        migrate(empty_dsn)
    read_only(dsn, True)
    with pytest.raises(StoreReadOnly):
        async with running(settings_for_tests(), dsn):
            pytest.fail("it cannot note its model")

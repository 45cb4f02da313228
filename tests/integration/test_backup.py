"""docs/operations.md: a backup by the bundled pg_dump, restored into a new cluster, answers as before."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from memory_grpc.local.cluster import SUPERUSER, binaries
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningServer, StartServer


def run(program: str, dsn: str, *arguments: str) -> None:
    """A program of Postgres on a database, as its superuser."""
    at = conninfo_to_dict(dsn)
    target = make_conninfo(host=at["host"], port=at["port"], user=SUPERUSER, dbname=at["dbname"])
    subprocess.run([binaries() / program, f"--dbname={target}", *arguments], check=True, capture_output=True)


async def answer(server: RunningServer) -> bytes:
    request = pb.SearchMemoriesRequest(tenant_id="acme", query="bread", ranking="hybrid", explain=True)
    request.as_of.FromJsonString("2030-01-01T00:00:00Z")
    found = await server.memory.SearchMemories(request)
    assert len(found.items) == 3
    return found.SerializeToString(deterministic=True)


@pytest.mark.asyncio
async def test_a_dump_that_is_restored_answers_as_before(start_server: StartServer, tmp_path: Path) -> None:
    old, new = EmbeddedPostgres(tmp_path / "old"), EmbeddedPostgres(tmp_path / "new")
    dump = tmp_path / "memory.dump"
    try:
        dsn = old.start()
        async with start_server(dsn) as server:
            for content in ("rye bread", "white bread", "bread and butter"):
                await server.memory.IngestMessage(
                    pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content=content)
                )
            before = await answer(server)
            run("pg_dump", dsn, "--format=custom", f"--file={dump}")
        restored = new.start()
        with psycopg.connect(restored, autocommit=True) as connection:
            for role in ("memory_layer_tenant", "memory_layer_worker"):
                connection.execute(f"create role {role} nologin".encode())
        run("pg_restore", restored, "--no-owner", "--exit-on-error", str(dump))
        async with start_server(restored) as server:
            assert await answer(server) == before
    finally:
        new.stop()
        old.stop()

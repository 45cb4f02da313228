"""Graphs are built where operators bound what calls may take: a statement_timeout of the role, a small /dev/shm."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from memory_grpc.app import running
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_layer.v1 import index_service_pb2 as index
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import connected, until
from tests.conftest import StartServer, settings_for_tests
from tests.stubs import Stubs

ROOT = Path(__file__).parents[2]
_CLONE_NEWNS = 0x20000
_MS_REC_PRIVATE = 0x4000 | 0x40000


async def fill(client: Stubs, messages: int) -> None:
    for start in range(0, messages, 500):
        requests = [
            pb.IngestMessageRequest(tenant_id="t", conversation_id="c", role="user", content=f"turn {start + number}")
            for number in range(500)
        ]
        await client.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=requests))


async def ready(client: Stubs) -> bool:
    graphs = (await client.index.ListGraphs(index.ListGraphsRequest())).graphs
    assert "failed" not in [graph.state for graph in graphs]
    return [graph.state for graph in graphs] == ["ready"]


@pytest.mark.asyncio
@pytest.mark.parametrize("bound", ["statement_timeout", "transaction_timeout"])
async def test_a_build_takes_longer_than_a_statement_may(dsn: str, start_server: StartServer, bound: str) -> None:
    async with start_server() as server:
        await fill(server, 1000)
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("alter database {} set {} = '20ms'").format(name, sql.Identifier(bound)))
    async with start_server(graph_threshold=500, graph_check_seconds=0.1) as server:
        await until(lambda: ready(server), 30)


def in_small_shm(directory: Path) -> None:
    """Makes /dev/shm as small as a container's for this process and its children, then builds a graph."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None):
        sys.exit(77)
    if libc.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, b"size=8m"):
        sys.exit(77)
    import asyncio

    postgres = EmbeddedPostgres(directory / "data", {"min_parallel_table_scan_size": "0"})
    conninfo = postgres.start()

    async def build() -> None:
        settings = settings_for_tests(graph_threshold=500, graph_check_seconds=0.1)
        async with (
            running(settings, conninfo) as application,
            connected(f"127.0.0.1:{application.grpc_port}") as client,
        ):
            await fill(client, 1000)
            await until(lambda: ready(client), 60)

    try:
        asyncio.run(build())
    finally:
        postgres.stop()


def test_a_build_does_without_shared_memory_where_there_is_little(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from tests.integration.test_graph_surroundings import in_small_shm;"
    script += "from memory_grpc.observability.logging import configure, flush; configure('INFO', 'json');"
    script += "in_small_shm(Path(sys.argv[1])); flush()"
    path = os.pathsep.join([str(ROOT), str(ROOT / "gen")])
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=150,
    )
    if done.returncode == 77:
        pytest.skip("a mount of its own needs root and CAP_SYS_ADMIN")
    assert done.returncode == 0, done.stderr[-3000:]
    assert '"graph_built_by_one_process"' in done.stderr, "there was too little, and that was seen"

"""A distributed database where MEMORY_TEST_CITUS is a superuser's DSN of a coordinator with workers: docs/citus.md says
how to make one."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from pydantic import SecretStr

from memory_grpc.store.distribution import distribute
from memory_grpc.store.tenant_tables import DISTRIBUTED
from tests.conftest import RunningServer, StartServer
from tests.scale.citus_cluster import migrated
from tests.scale.nodes import Node
from tests.scale.reading import is_up, until

COORDINATOR = os.environ.get("MEMORY_TEST_CITUS", "")
on_a_cluster = pytest.mark.skipif(not COORDINATOR, reason="MEMORY_TEST_CITUS names no coordinator of a Citus cluster")

SHARDS = 8
# A cluster for tests may do without the disk.
LOST = ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]


@pytest.fixture(scope="module")
def citus() -> Iterator[str]:
    """The DSN of a distributed database."""
    with migrated(COORDINATOR, "memory_test_citus") as dsn:
        found = distribute(dsn, shards=SHARDS)
        assert found.blocked == ()
        yield dsn


@pytest.fixture
def on_citus(citus: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    """Runs SQL as the superuser; what is stored is gone afterwards."""

    def run(query: str, *params: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(citus, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), params)
            return cursor.fetchall() if cursor.description else []

    yield run
    for table in (*reversed(DISTRIBUTED), "embedding_jobs", "reembedding_backlog", "retention_runs"):
        run(f"delete from {table}")


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    home = tmp_path_factory.mktemp("nodes")
    primary = Node(home / "primary").start()
    replica = None
    try:
        replica = primary.replica(home / "replica", "replica").start()
        yield primary, replica
    finally:
        if replica:
            replica.stop()
        primary.stop()


@pytest.fixture
def settings(nodes: tuple[Node, Node]) -> dict[str, Any]:
    return {"database_read_urls": [SecretStr(nodes[1].dsn)], "database_read_wait_ms": 20.0}


@pytest_asyncio.fixture
async def server(
    nodes: tuple[Node, Node], settings: dict[str, Any], start_server: StartServer
) -> AsyncIterator[RunningServer]:
    async with start_server(nodes[0].dsn, **settings) as started:
        await until(is_up)
        yield started

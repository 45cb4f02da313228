"""docs/citus.md: what pg_dump writes of a coordinator is what all nodes have, for another cluster or one Postgres."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memory_grpc.local.cluster import binaries
from memory_grpc.store.distribution import distribute
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import revision_pb2 as revision
from tests.conftest import RunningServer, StartServer
from tests.integration.test_ingest import message
from tests.integration.test_transfer import exported
from tests.scale.citus_cluster import migrated
from tests.scale.conftest import COORDINATOR, LOST, SHARDS, on_a_cluster
from tests.scale.same_answers import serialized

pytestmark = [on_a_cluster, pytest.mark.asyncio]

TENANTS = ("acme", "rival", "third")


async def test_a_dump_of_the_coordinator_answers_as_the_cluster(
    start_server: StartServer, citus: str, on_citus: Callable[..., Any], dsn: str, tmp_path: Path
) -> None:
    dump = tmp_path / "memory.dump"
    async with start_server(citus, accept_data_loss_with=LOST) as server:
        for number in range(12):
            said = message(f"turn {number} about bread", tenant_id=TENANTS[number % 3])
            first = await server.memory.IngestMessage(said)
        update = revision.UpdateMessageRequest(
            tenant_id=first.tenant_id, message_id=first.id, update_mask=["content"], content="I bake cakes"
        )
        await server.memory.UpdateMessage(update)
        before = await answers(server)
    use("pg_dump", citus, "--format=custom", "--data-only", "--exclude-table=schema_migrations", f"--file={dump}")
    with migrated(COORDINATOR, "memory_test_citus_restored") as other:
        assert distribute(other, shards=SHARDS).blocked == ()
        for restored in (dsn, other):
            use("pg_restore", restored, "--data-only", "--exit-on-error", "--single-transaction", str(dump))
            async with start_server(restored, accept_data_loss_with=LOST) as server:
                assert await answers(server) == before
                # And goes on: numbers and ids that were given are not given again.
                assert (await server.memory.IngestMessage(message("more", tenant_id="acme"))).id


async def answers(server: RunningServer) -> list[bytes]:
    """The searches and exports of all tenants."""
    found = []
    for tenant in TENANTS:
        found += serialized(await exported(server, tenant, include_embeddings=True), "archived_at", "updated_at")
        request = pb.SearchMemoriesRequest(tenant_id=tenant, query="who bakes bread?", ranking="hybrid")
        ids = [one.message_id for one in (await server.memory.SearchMemories(request)).items]
        found.append(" ".join(ids).encode())
    return found


def use(tool: str, dsn: str, *options: str) -> None:
    """One of Postgres' own tools, which fails where that fails."""
    subprocess.run([binaries() / tool, f"--dbname={dsn}", *options], check=True, capture_output=True)

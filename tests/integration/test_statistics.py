"""Statistics: what is stored, told as it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from memory_grpc.store import statistics
from memory_layer.v1 import statistics_pb2 as pb
from tests.cli import Cli
from tests.conftest import RunningRest, RunningServer
from tests.integration.test_ingest import message
from tests.integration.test_listing import FILL
from tests.integration.test_retention import sweep
from tests.integration.test_update import update

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]


async def told(server: RunningServer, tenant: str = "acme") -> pb.TenantStatistics:
    found: pb.TenantStatistics = await server.admin.GetStatistics(pb.GetStatisticsRequest(tenant_id=tenant))
    return found


async def test_counts_are_those_of_the_tables(server: RunningServer, rows: Rows) -> None:
    rows(FILL, "acme", 300)
    rows(FILL, "rival", 500)
    rows("update messages set embedding_status = 'failed' where id in (select id from messages limit 40)")
    rows("update messages set embedding_status = 'pending' where tenant_id = 'acme' and content like '%%7'")
    rows("update messages set pinned = true where content like '%%3'")
    rows("update messages set content = 'again', user_id = null where conversation_id = 'c-5'")
    found = await told(server)
    (expected,) = rows(
        "select count(*) filter (where archived_at is null), count(archived_at), "
        "count(*) filter (where embedding_status = 'pending'), count(*) filter (where embedding_status = 'failed'), "
        "count(*) filter (where pinned), count(distinct user_id), count(distinct conversation_id), "
        "count(*) - count(distinct (conversation_id, user_id, role, content)), min(created_at), max(created_at) "
        "from messages where tenant_id = 'acme'"
    )
    assert (
        found.live,
        found.archived,
        found.pending,
        found.failed,
        found.pinned,
        found.users,
        found.conversations,
    ) == (expected[:7])
    assert found.duplicates == expected[7] > 0
    assert found.oldest_message_at.ToDatetime() == expected[8].replace(tzinfo=None)
    assert found.newest_message_at.ToDatetime() == expected[9].replace(tzinfo=None)
    assert found.estimated_bytes > 300 * 400
    assert (found.last_sweep_status, found.HasField("last_sweep_at")) == ("never", False)


async def test_counts_stop_at_their_bounds(server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    rows(FILL, "acme", 100)
    bounds = {"most": 7, "most_rare": 3, "most_names": 5, "most_compared": 10, "most_measured": 2}
    monkeypatch.setattr(statistics, "_BOUNDS", bounds)
    found = await told(server)
    assert (found.live, found.archived, found.users, found.conversations) == (7, 7, 5, 5)


async def test_revisions_and_the_sweep_are_told(server: RunningServer) -> None:
    stored = await server.memory.IngestMessage(message("one"))
    await server.memory.UpdateMessage(update(stored.id, content="two"))
    await sweep(server)()
    found = await told(server)
    assert (found.live, found.revisions, found.last_sweep_status) == (1, 1, "ok")
    assert found.HasField("last_sweep_at")
    nobody = await told(server, "nobody")
    assert (nobody.live, nobody.conversations, nobody.estimated_bytes) == (0, 0, 0)
    assert not nobody.HasField("oldest_message_at")


async def test_over_rest_and_the_command_line(rest: RunningRest, cli: Cli) -> None:
    await rest.server.memory.IngestMessage(message(tenant_id="acme/eu"))
    by_rest = (await rest.http.get("/v1/admin/tenants/acme%2Feu/statistics")).json()
    assert (by_rest["tenant_id"], by_rest["live"]) == ("acme/eu", 1)
    here = ("--address", rest.server.grpc_address)
    by_cli, shown = await asyncio.gather(
        cli("stats", "-t", "acme/eu", *here, "--json"), cli("stats", "-t", "acme/eu", *here)
    )
    assert json.loads(by_cli.out) == by_rest
    assert "about" in shown.out

"""``memory-grpc distribute`` on a Postgres without Citus, and what a server on Citus does without; on a cluster:
tests/scale/test_citus.py."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from memory_grpc.app import settings_on_citus
from memory_grpc.errors import StartupError
from tests.cli import Cli
from tests.conftest import settings_for_tests

MISSING = "This database has no Citus: run CREATE EXTENSION citus on every node first."


@pytest.mark.asyncio
async def test_without_citus_it_says_what_is_missing_and_changes_nothing(dsn: str, cli: Cli) -> None:
    done = await cli("distribute", MEMORY_DATABASE_URL=dsn)
    assert (done.code, done.out) == (1, "")
    assert done.err == MISSING + "\n"
    done = await cli("distribute", "--dry-run", "--json", MEMORY_DATABASE_URL=dsn)
    assert done.code == 1
    assert json.loads(done.out) == {"nodes": 0, "tables": [], "blocked": [MISSING], "distributed": False}


def test_on_citus_graphs_are_off_and_replicas_are_refused() -> None:
    assert settings_on_citus(settings_for_tests(graph_threshold=1000)).graph_threshold == 0
    with pytest.raises(StartupError, match="MEMORY_DATABASE_READ_URLS cannot be combined with"):
        settings_on_citus(settings_for_tests(database_read_urls=[SecretStr("postgresql://replica/memory")]))

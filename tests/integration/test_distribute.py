"""``memory-grpc distribute`` on a Postgres without Citus, and what a server on Citus does without; on a cluster:
tests/scale/test_citus.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from pydantic import SecretStr

from memory_grpc.app import settings_on_citus
from memory_grpc.errors import StartupError, StoreUnavailable
from memory_grpc.store.database import EVERY_TENANT, Database
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


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("said", "raised"),
    [
        ("failure on connection marked as essential: worker:5432", StoreUnavailable),
        ("server closed the connection unexpectedly\n\tThis probably means", StoreUnavailable),
        ("something else", psycopg.errors.InternalError_),
    ],
)
async def test_a_node_that_is_lost_in_a_transaction_is_a_database_that_is_away(
    database: Database, rows: Callable[..., Any], said: str, raised: type[Exception]
) -> None:
    """Citus calls it an internal error."""
    rows(
        "create function fail() returns trigger language plpgsql as "
        f"$$ begin raise exception '{said}' using errcode = 'XX000'; end $$"
    )
    rows("create trigger fail before insert on leases for each row execute function fail()")
    with pytest.raises(raised):
        async with database.transaction(tenant=EVERY_TENANT) as tx:
            await tx.execute("leases.acquire", {"name": "n", "holder": uuid4(), "seconds": 1})

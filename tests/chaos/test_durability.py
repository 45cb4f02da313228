"""A Postgres that may lose what it acknowledged: the server does not start on it, unless told so in so many words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from memory_grpc.local import postgres as embedded
from memory_grpc.local.postgres import EmbeddedPostgres
from tests.chaos.harness import ServerProcess, item, serving

pytestmark = pytest.mark.timeout(300)

SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")


@contextmanager
def postgres_with(directory: Path, **options: str) -> Iterator[str]:
    """A real Postgres on ``directory`` that runs with these options."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in options.items():
            patch.setitem(embedded._OPTIONS, name, value)
        server = EmbeddedPostgres(directory)
        try:
            yield server.start()
        finally:
            server.stop()


async def refusal(dsn: str, directory: Path, **variables: object) -> str:
    """What a server says that does not start."""
    server = ServerProcess(dsn, directory, **variables)
    try:
        server.spawn()
        assert await server.ended(60) == 1, server.text
        return server.text.strip()
    finally:
        server.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("off", [("fsync",), ("full_page_writes",), SETTINGS], ids=" ".join)
async def test_8_a_postgres_that_may_lose_messages_is_refused(
    off: tuple[str, ...], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cluster = tmp_path_factory.getbasetemp() / "durability"
    faults = [f"{name}=off" for name in off]
    with item(8, "start on an unsafe Postgres") as result:
        result.tried = 1
        with postgres_with(cluster, **dict.fromkeys(off, "off")) as dsn:
            said = await refusal(dsn, tmp_path)
            assert len(said.splitlines()) == 1, said
            assert all(fault in said for fault in faults), said
            assert str(cluster) not in said, "no DSN"
            if off == SETTINGS:  # consent to something else is no consent
                assert faults[-1] in await refusal(dsn, tmp_path, ACCEPT_DATA_LOSS_WITH=",".join(faults[:-1]))
            async with serving(dsn, tmp_path, ACCEPT_DATA_LOSS_WITH=",".join(faults)) as server:
                assert server.text.count("data_loss_accepted") == len(faults), "a start with consent warns"
        result.held = 1


@pytest.mark.asyncio
@pytest.mark.parametrize("where", ["database", "role", "connection"])
async def test_8_it_is_asked_as_the_servers_own_connections_have_it(
    where: str, dsn: str, postgres: str, tmp_path: Path
) -> None:
    with item(8, "synchronous_commit=off by database, role or DSN") as result:
        result.tried = 1
        with psycopg.connect(dsn, autocommit=True) as connection:
            name = connection.info.dbname
            if where == "database":
                connection.execute(f'alter database "{name}" set synchronous_commit = off'.encode())
            elif where == "role":
                connection.execute(b"create role hasty superuser login")
                connection.execute(b"alter role hasty set synchronous_commit = off")
                dsn = make_conninfo(dsn, user="hasty")
            else:
                dsn = make_conninfo(dsn, options="-c synchronous_commit=off")
        try:
            assert "synchronous_commit=off" in await refusal(dsn, tmp_path)
        finally:
            with psycopg.connect(postgres, autocommit=True) as connection:
                connection.execute(b"drop role if exists hasty")
        result.held = 1


@pytest.mark.asyncio
async def test_8_every_value_that_flushes_before_it_acknowledges_is_served(dsn: str, tmp_path: Path) -> None:
    with item(8, "start with synchronous_commit=local") as result:
        result.tried = 1
        async with serving(make_conninfo(dsn, options="-c synchronous_commit=local"), tmp_path) as server:
            assert "data_loss_accepted" not in server.text
        result.held = 1

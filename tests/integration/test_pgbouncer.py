"""PgBouncer before Postgres: in transaction mode calls go through it, and what needs a session goes past it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import grpc
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from memory_grpc.app import running
from memory_grpc.errors import StartupError
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.store.migrations import migrate
from memory_grpc.store.poolers import shares_sessions
from memory_layer.v1 import index_service_pb2 as index
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import until
from tests.conftest import free_port, settings_for_tests
from tests.stubs import Stubs

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no pgbouncer here: Debian has it as a package of that name")

Bouncer = Callable[..., str]


@pytest.fixture(scope="module")
def dsn() -> Iterator[str]:
    """A Postgres of this module's own, in a folder that PgBouncer's user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="memory-pgbouncer"))
    folder.chmod(0o755)
    server = EmbeddedPostgres(folder)
    try:
        yield server.start()
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def bouncer(dsn: str) -> Iterator[Bouncer]:
    """Starts a PgBouncer before the database; returns the DSN that leads through it."""
    started: list[subprocess.Popen[bytes]] = []
    folders: list[Path] = []

    def start(pool_mode: str, **settings: object) -> str:
        parts, port = conninfo_to_dict(dsn), free_port()
        # It refuses to be root.
        owner = (Path(str(parts["host"])) / ".s.PGSQL.5432").stat()
        folder = Path(tempfile.mkdtemp(prefix="pgbouncer"))
        folders.append(folder)
        database = f"host={parts['host']} port={parts['port']} user={parts['user']} dbname={parts['dbname']}"
        values = {
            "listen_addr": "127.0.0.1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": pool_mode,
            "logfile": folder / "log",
        } | settings
        lines = [
            f"[databases]\nmemory = {database}\n[pgbouncer]",
            *(f"{name} = {value}" for name, value in values.items()),
        ]
        (folder / "ini").write_text("\n".join(lines) + "\n")
        os.chown(folder, owner.st_uid, owner.st_gid)
        as_owner = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        started.append(
            subprocess.Popen([str(PROGRAM), "-q", str(folder / "ini")], **as_owner)  # type: ignore[call-overload]
        )
        return make_conninfo(host="127.0.0.1", port=port, dbname="memory", user=parts["user"])

    yield start
    for process in started:
        process.kill()
        process.wait()
    for folder in folders:
        shutil.rmtree(folder)


async def answers(dsn: str) -> None:
    async def connects() -> bool:
        with suppress(psycopg.OperationalError):
            async with await psycopg.AsyncConnection.connect(dsn):
                return True
        return False

    await until(connects, 10)


@pytest.mark.asyncio
async def test_transaction_mode_without_a_way_past_it_is_refused(bouncer: Bouncer, dsn: str) -> None:
    through = bouncer("transaction")
    await answers(through)
    with pytest.raises(StartupError, match="set MEMORY_DATABASE_DIRECT_URL to Postgres itself"):
        async with running(settings_for_tests(), through):
            pytest.fail("it is refused")
    with psycopg.connect(dsn) as connection:
        row = connection.execute("select count(*) from pg_locks where locktype = 'advisory'").fetchone()
    assert row == (0,), "no lock is left with the pooler"


@pytest.mark.asyncio
@pytest.mark.parametrize("pool_size", [1, 20])
async def test_poolers_are_told_apart(bouncer: Bouncer, dsn: str, pool_size: int) -> None:
    through = bouncer("transaction", default_pool_size=pool_size)
    await answers(through)
    assert shares_sessions(through)
    assert not shares_sessions(dsn)
    by_session = bouncer("session")
    await answers(by_session)
    assert not shares_sessions(by_session)
    migrate(by_session)
    assert migrate(by_session) == []


@pytest.mark.asyncio
async def test_calls_go_through_transaction_mode_and_jobs_past_it(bouncer: Bouncer, dsn: str) -> None:
    through = bouncer("transaction", default_pool_size=3, server_round_robin=1)
    await answers(through)
    settings = settings_for_tests(
        database_url=SecretStr(through),
        database_direct_url=SecretStr(dsn),
        graph_threshold=20,
        graph_check_seconds=0.1,
    )
    async with (
        running(settings, through) as application,
        grpc.aio.insecure_channel(f"127.0.0.1:{application.grpc_port}") as channel,
    ):
        client = Stubs(channel)
        for number in range(30):  # past the fifth time psycopg would prepare each statement
            sent = await client.memory.IngestMessage(
                pb.IngestMessageRequest(
                    tenant_id="t",
                    conversation_id="c",
                    role="user",
                    content=f"turn {number}",
                    embed_later=number % 2 == 0,
                )
            )
            assert sent.content == f"turn {number}"
            for ranking in ("semantic", "hybrid"):
                request = pb.SearchMemoriesRequest(tenant_id="t", query=f"turn {number}", ranking=ranking)
                await client.memory.SearchMemories(request)

        async def all_embedded() -> bool:
            request = pb.SearchMemoriesRequest(tenant_id="t", query="turn 28", top_k=1)
            found = await client.memory.SearchMemories(request)
            return found.pending == 0 and [item.content for item in found.items] == ["turn 28"]

        async def built() -> bool:
            graphs = (await client.index.ListGraphs(index.ListGraphsRequest())).graphs
            return [graph.state for graph in graphs] == ["ready"]

        await until(all_embedded, 30)
        await until(built, 30)
        with psycopg.connect(dsn) as connection:
            listeners = connection.execute(
                "select count(*) from pg_stat_activity where application_name = 'memory-grpc listen'"
            ).fetchone()
    assert listeners == (1,)
    # Whoever gets one of its sessions next finds nothing of ours there.
    for _ in range(6):
        async with await psycopg.AsyncConnection.connect(through, prepare_threshold=None) as plain:
            row = await (
                await plain.execute(
                    "select current_setting('enable_seqscan'), current_setting('role'),"
                    " (select count(*) from pg_prepared_statements)"
                )
            ).fetchone()
            assert row == ("on", "none", 0)

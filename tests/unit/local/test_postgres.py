"""The embedded Postgres keeps what was committed and starts again, whatever ended the run before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from memory_grpc.errors import StartupError
from memory_grpc.local import sockets
from memory_grpc.local.database_user import prepare
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.store.migrations import load, migrate
from tests.unit.local.processes import eventually, gone

# A parent of its own, that a test can kill: starts Postgres and says how to reach it.
PARENT = """
import signal, sys
from pathlib import Path
from memory_grpc.local.postgres import EmbeddedPostgres
postgres = EmbeddedPostgres(Path(sys.argv[1]))
print(postgres.start(), postgres.pid, sep="|", flush=True)
signal.pause()
"""


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cluster for the module: initdb takes two seconds, and each test ends with a whole one."""
    return tmp_path_factory.mktemp("pg")


@pytest.fixture
def postgres(data_dir: Path) -> Iterator[EmbeddedPostgres]:
    embedded = EmbeddedPostgres(data_dir)
    yield embedded
    embedded.stop()


@pytest.fixture
def parent(data_dir: Path) -> Iterator[Callable[[], tuple[subprocess.Popen[str], str, int]]]:
    processes = []

    def start() -> tuple[subprocess.Popen[str], str, int]:
        process = subprocess.Popen([sys.executable, "-c", PARENT, str(data_dir)], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        conninfo, _, pid = process.stdout.readline().strip().partition("|")
        return process, conninfo, int(pid)

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def insert(conninfo: str, value: int) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        connection.execute("INSERT INTO kept VALUES (%s)", (value,))


def values(conninfo: str) -> set[int]:
    with psycopg.connect(conninfo) as connection:
        return {row[0] for row in connection.execute("SELECT value FROM kept")}


def test_what_is_durable_sorted_and_reachable(postgres: EmbeddedPostgres):
    with psycopg.connect(postgres.start(), autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            assert connection.execute(f"SHOW {setting}").fetchone() == ("on",)
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        distance = connection.execute("SELECT '[1,0]'::halfvec(2) <=> '[0,1]'::halfvec(2)").fetchone()
        assert distance == (1.0,)
        # Case folding of every script, whatever the machine's locale.
        assert connection.execute("SELECT lower('ÀÉПРИВЕТ')").fetchone() == ("àéпривет",)
        assert connection.execute("SELECT getdatabaseencoding()").fetchone() == ("UTF8",)


def test_data_is_kept_and_a_second_start_is_quick(postgres: EmbeddedPostgres):
    insert(postgres.start(), 1)
    postgres.stop()
    began = time.monotonic()
    conninfo = postgres.start()
    assert time.monotonic() - began < 5  # about 0.2 s; the rest is for a busy machine
    assert 1 in values(conninfo)
    postgres.stop()
    postgres.stop()


def test_killed_postmaster_loses_nothing(postgres: EmbeddedPostgres):
    insert(postgres.start(), 2)
    os.kill(postgres.pid, signal.SIGKILL)
    assert eventually(lambda: postgres.poll() is not None)
    postgres.stop()
    assert 2 in values(postgres.start())


def test_killed_parent_leaves_no_process_and_loses_nothing(postgres: EmbeddedPostgres, parent):
    process, conninfo, pid = parent()
    insert(conninfo, 3)
    process.kill()
    assert eventually(lambda: gone(pid))
    assert 3 in values(postgres.start())


def test_start_while_the_killed_run_still_ends(postgres: EmbeddedPostgres, parent):
    process, conninfo, pid = parent()
    insert(conninfo, 4)
    os.kill(pid, signal.SIGSTOP)  # a postmaster that does not end by itself
    process.kill()
    process.wait()
    assert not gone(pid)
    os.kill(pid, signal.SIGCONT)
    assert 4 in values(postgres.start())
    assert gone(pid)


def test_lock_file_with_the_number_of_another_process(postgres: EmbeddedPostgres, data_dir: Path):
    postgres.start()
    lock = (data_dir / "postgres" / "postmaster.pid").read_text().split("\n", 1)
    os.kill(postgres.pid, signal.SIGKILL)
    assert eventually(lambda: postgres.poll() is not None)
    postgres.stop()
    (data_dir / "postgres" / "postmaster.pid").write_text(f"{os.getppid()}\n{lock[1]}")
    postgres.start()


def test_half_made_cluster_is_made_again(tmp_path: Path):
    unfinished = tmp_path / "postgres.unfinished"
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n")
    embedded = EmbeddedPostgres(tmp_path)
    try:
        insert(embedded.start(), 1)
        assert not unfinished.exists()
    finally:
        embedded.stop()


def test_two_runs_on_one_directory(postgres: EmbeddedPostgres, parent):
    _, conninfo, _ = parent()
    with pytest.raises(StartupError, match=r"in use by another run: .* MEMORY_DATA_DIR"):
        postgres.start()
    insert(conninfo, 5)  # and the first goes on


def test_cluster_of_another_version(tmp_path: Path):
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(StartupError, match=r"was made by Postgres 16; this is Postgres 18\.$"):
        EmbeddedPostgres(tmp_path).start()


def test_unusable_directory_is_told_in_a_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="cannot be used"):
        EmbeddedPostgres(tmp_path / "file" / "data").start()


def test_deep_directories_get_a_short_socket_path(tmp_path: Path):
    deep = tmp_path.joinpath(*["directory"] * 12)
    short = sockets.directory(deep, ".s.PGSQL.5432")
    try:
        assert len(os.fsencode(short / ".s.PGSQL.5432")) <= 100
        assert short == sockets.directory(deep, ".s.PGSQL.5432")
        assert short.stat().st_mode & 0o777 == 0o700
    finally:
        short.rmdir()


def test_a_strangers_socket_directory_is_refused(tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartupError, match="belongs to someone else"):
        sockets.directory(tmp_path / "run", "socket")


def test_a_cluster_of_a_superuser_is_handed_over(tmp_path: Path):
    """A directory of before the server had a user of its own: what the superuser made there can be migrated further."""
    embedded = EmbeddedPostgres(tmp_path / "old")
    try:
        dsn = embedded.start()
        migrations = load()
        before = [migration for migration in migrations if migration.version <= 9]
        migrate(dsn, before)
        own = prepare(dsn)
        assert len(migrate(own)) == len(migrations) - len(before)
        with psycopg.connect(dsn) as connection:
            owners = connection.execute(
                "select distinct tableowner from pg_tables where schemaname = 'public'"
            ).fetchall()
        assert owners == [("memory",)]
        assert prepare(dsn) == own, "again and again"
    finally:
        embedded.stop()

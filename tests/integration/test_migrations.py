"""Migrations: the same database as schema.sql, once each, and a clear sentence for every history but the right one."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from memory_grpc.errors import StartupError
from memory_grpc.local.cluster import binaries
from memory_grpc.resources import SQL
from memory_grpc.store.migrations import LOCK_KEY, Migration, load, migrate
from tests.conftest import free_port

MIGRATIONS = load()
NAMES = [f"{migration.version:04}_{migration.name}" for migration in MIGRATIONS]
LAST = MIGRATIONS[-1].version
# Tables that searches read: every index is led by tenant_id, but for the one that finds a message by its id alone.
SEARCHED = ("messages", "message_embeddings", "message_lexemes")
BY_ID = {"messages_by_id"}


def migration(version: int, text: str, name: str = "test") -> Migration:
    return Migration(version, name, hashlib.sha256(text.encode()).hexdigest(), text)


def query(dsn: str, text: str, *params: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(text.encode(), params or None)
        return cursor.fetchall() if cursor.description else []


def tables(dsn: str) -> set[str]:
    return {row[0] for row in query(dsn, "select tablename from pg_tables where schemaname = 'public'")}


def dump(dsn: str) -> str:
    """The schema as pg_dump writes it, but for the notes of migrations and what differs from run to run."""
    command = [binaries() / "pg_dump", "--schema-only", "--no-owner", "--exclude-table=schema_migrations", f"-d{dsn}"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)


def test_the_files_have_numbers_of_their_own_and_say_what_they_are() -> None:
    assert [migration.version for migration in MIGRATIONS] == sorted({migration.version for migration in MIGRATIONS})
    for path in sorted((SQL / "migrations").iterdir()):
        assert re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", path.name), path.name
        assert re.match(r"-- [A-Z].*\.$", path.read_text(encoding="utf-8").splitlines()[0]), path.name


def test_schema_sql_is_what_the_migrations_leave(empty_dsn: str, dsn: str) -> None:
    query(empty_dsn, (SQL / "schema.sql").read_text(encoding="utf-8"))
    by_schema, by_migrations = dump(empty_dsn), dump(dsn)
    assert "CREATE TABLE public.messages" in by_migrations
    assert by_schema.splitlines() == by_migrations.splitlines()


def test_the_dump_sees_differences(empty_dsn: str, dsn: str) -> None:
    migrate(empty_dsn)
    assert dump(empty_dsn) == dump(dsn)
    query(empty_dsn, "alter table messages alter column content set storage external")
    assert dump(empty_dsn) != dump(dsn)


def test_every_index_of_a_searched_table_is_led_by_tenant_id(dsn: str) -> None:
    rows = query(
        dsn,
        "select t.relname, i.relname, a.attname from pg_index x "
        "join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid "
        "join pg_attribute a on a.attrelid = t.oid and a.attnum = x.indkey[0] "
        "join pg_namespace n on n.oid = t.relnamespace where n.nspname = 'public'",
    )
    searched = [(index, column) for table, index, column in rows if table in SEARCHED and index not in BY_ID]
    assert len(searched) >= 5
    assert [index for index, column in searched if column != "tenant_id"] == []


def test_each_migration_is_applied_once(empty_dsn: str) -> None:
    assert migrate(empty_dsn) == NAMES
    before = query(empty_dsn, "select * from schema_migrations order by version")
    assert [(row[0], row[2]) for row in before] == [(m.version, m.checksum) for m in MIGRATIONS]
    assert migrate(empty_dsn) == []
    assert query(empty_dsn, "select * from schema_migrations order by version") == before


def test_only_what_is_missing_is_applied(empty_dsn: str) -> None:
    first, second = migration(1, "create table one ()"), migration(2, "create table two ()")
    assert migrate(empty_dsn, [first]) == ["0001_test"]
    assert migrate(empty_dsn, [first, second]) == ["0002_test"]
    assert tables(empty_dsn) == {"schema_migrations", "one", "two"}


def test_processes_that_start_together_migrate_once(empty_dsn: str) -> None:
    script = (
        "import sys; from memory_grpc.observability.logging import configure; configure('ERROR', 'json');"
        "from memory_grpc.store.migrations import migrate; print(*migrate(sys.argv[1]))"
    )
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        # While this holds the lock, every process comes to stand before it; then they all go at once.
        connection.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))
        processes = [
            subprocess.Popen([sys.executable, "-c", script, empty_dsn], stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        try:
            wait_until(lambda: waiting(connection) == len(processes))
            assert tables(empty_dsn) == set()
            connection.execute("select pg_advisory_unlock(%s)", (LOCK_KEY,))
            outputs = [process.communicate(timeout=60)[0].strip() for process in processes]
        finally:
            for process in processes:
                process.kill()
                process.communicate()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert sorted(outputs) == ["", "", " ".join(NAMES)]
    assert query(empty_dsn, "select count(*) from schema_migrations") == [(len(MIGRATIONS),)]


def waiting(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(
        "select count(*) from pg_locks where locktype = 'advisory' and not granted "
        "and database = (select oid from pg_database where datname = current_database())"
    ).fetchone()
    assert row is not None
    return int(row[0])


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def test_the_lock_is_let_go(empty_dsn: str) -> None:
    migrate(empty_dsn)
    with pytest.raises(StartupError):
        migrate(empty_dsn, [*MIGRATIONS, migration(LAST + 1, "select 1/0")])
    assert query(empty_dsn, "select pg_try_advisory_lock(%s)", LOCK_KEY) == [(True,)]


def test_an_edited_migration_is_refused_and_nothing_is_applied(empty_dsn: str) -> None:
    migrate(empty_dsn, [migration(1, "create table one ()")])
    edited, new = migration(1, "create table one (x integer)"), migration(2, "create table two ()")
    with pytest.raises(StartupError, match=r"^Migration 0001 \(test\) was edited after it was applied: .+\.$"):
        migrate(empty_dsn, [edited, new])
    assert tables(empty_dsn) == {"schema_migrations", "one"}
    assert query(empty_dsn, "select version from schema_migrations") == [(1,)]


def test_a_space_more_is_an_edit(empty_dsn: str) -> None:
    migrate(empty_dsn, [migration(1, "select 1")])
    with pytest.raises(StartupError, match="edited"):
        migrate(empty_dsn, [migration(1, "select  1")])


@pytest.mark.parametrize("known", [[1], [1, 2]])
def test_a_database_that_is_ahead_is_refused(empty_dsn: str, known: list[int]) -> None:
    texts = {version: migration(version, f"create table t{version} ()") for version in (1, 2, 3)}
    migrate(empty_dsn, [texts[1], texts[2], texts[3]])
    with pytest.raises(
        StartupError, match=r"^The database has migration \d{4} \(test\), which .+ does not know: .+\.$"
    ):
        migrate(empty_dsn, [texts[version] for version in known])


def test_a_migration_that_is_gone_from_the_middle_is_refused(empty_dsn: str) -> None:
    one, two, three = (migration(version, f"create table t{version} ()") for version in (1, 2, 3))
    migrate(empty_dsn, [one, two])
    with pytest.raises(StartupError, match="0001"):
        migrate(empty_dsn, [two, three])
    assert tables(empty_dsn) == {"schema_migrations", "t1", "t2"}


FAILURES = {
    "syntax": "selec 1",
    "unknown table": "select * from nowhere_hunter2",
    "division by zero": "select 1/0",
    "broken constraint": "create table h (x integer check (x > 0)); insert into h values (-1)",
    "repeated key": "create table h (x integer primary key); insert into h values (1), (1)",
    "missing extension": "create extension hunter2",
    # Every statement works, and only the note of it fails: the statements and the note are one transaction.
    "cannot be noted": "alter table schema_migrations add check (version <> 2)",
    "raised": "do $$ begin raise exception 'hunter2'; end $$",
}


@pytest.mark.parametrize("failing", FAILURES.values(), ids=FAILURES.keys())
def test_a_migration_that_fails_half_way_leaves_nothing_of_itself(empty_dsn: str, failing: str) -> None:
    good = migration(1, "create table good ()")
    half = migration(2, f"create table half (); insert into half default values; {failing}")
    after = migration(3, "create table after_it ()")
    with pytest.raises(StartupError, match=r"^The database refused a migration \(\w+\)\.$") as caught:
        migrate(empty_dsn, [good, half, after])
    assert "hunter2" not in str(caught.value)
    assert tables(empty_dsn) == {"schema_migrations", "good"}
    assert query(empty_dsn, "select version from schema_migrations") == [(1,)]
    mended = migration(2, "create table half ()")
    assert migrate(empty_dsn, [good, mended, after]) == ["0002_test", "0003_test"]


def test_an_unreachable_database_is_said_without_its_address() -> None:
    dsn = f"postgresql://memory_user:hunter2@127.0.0.1:{free_port()}/secret_db"
    with pytest.raises(
        StartupError, match=r"^The database cannot be reached: check MEMORY_DATABASE_URL .+\.$"
    ) as caught:
        migrate(dsn)
    assert not re.search("hunter2|memory_user|secret_db|127", str(caught.value))


def test_a_database_that_does_not_exist_is_said_without_its_name(postgres: str) -> None:
    with pytest.raises(StartupError, match="MEMORY_DATABASE_URL") as caught:
        migrate(f"{postgres} dbname=hunter2_db")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "hunter2",
        "mysql://memory:hunter2@host/db",
        "postgresql://memory:hunter2@host:port/db",
        "postgresql://memory:hunter2@[::1/db",
        "postgresql://memory:hunter2@host/db?nonsense=hunter2",
        "postgresql://memory:hunter2%ZZ@host/db",
        "host=localhost nonsense=hunter2",
        "host=localhost port=hunter2",
        f"postgresql://memory:hunter2@{'x' * 70}.invalid/db",
    ],
)
def test_a_malformed_dsn_is_a_sentence_without_its_secrets(dsn: str) -> None:
    with pytest.raises(StartupError, match=r"MEMORY_DATABASE_URL.*\.$") as caught:
        migrate(dsn)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)

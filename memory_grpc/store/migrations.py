"""Applies ``sql/migrations/NNNN_name.sql`` in order, each once, in a transaction of its own.

Two servers that start together do not both migrate: an advisory lock lets one go first, and the other finds the work
done. An applied migration that was edited since, or is missing, stops the start: a database whose history nobody can
read is not one to guess about.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import structlog

from memory_grpc.errors import StartupError
from memory_grpc.resources import SQL
from memory_grpc.store import citus, poolers, requirements, roles
from memory_grpc.store.connections import PINS
from memory_grpc.store.queries import QUERIES
from memory_grpc.store.statements import split

# Any constant that no other program takes: the first bytes of sha256("memory-grpc migrations").
LOCK_KEY = int.from_bytes(hashlib.sha256(b"memory-grpc migrations").digest()[:7], "big")
_SECONDS_BETWEEN_LINES = 10

log = structlog.get_logger(__name__)

_TABLE: LiteralString = """
create table if not exists schema_migrations (
    version integer primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of ``sql/migrations``."""

    version: int
    name: str
    checksum: str
    text: str


def load(folder: Path = SQL / "migrations") -> list[Migration]:
    """The migrations of a folder, in order."""
    migrations = []
    for path in sorted(folder.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        text = path.read_text(encoding="utf-8")
        migrations.append(Migration(int(number), name, hashlib.sha256(text.encode()).hexdigest(), text))
    return migrations


def migrate(
    conninfo: str, migrations: list[Migration] | None = None, *, stopped: threading.Event | None = None
) -> list[str]:
    """Brings a database up to date; returns the names of the migrations that were applied now.

    Where nothing is missing, the user needs no more than to read the table of migrations: it need not be the owner.
    ``stopped`` ends the wait for another process that migrates, by StartupError within a second.

    Raises StartupError when the database cannot be reached, lacks pgvector, or has another history than these files,
    and when the user cannot take the roles that the service works as.
    """
    wanted = load() if migrations is None else migrations
    try:
        with poolers.connect(conninfo) as connection:
            poolers.refuse(connection, conninfo)
            requirements.check(connection)
            connection.execute(PINS)
            connection.execute(QUERIES["database.be_patient"])
            _wait_for_turn(connection, stopped or threading.Event())
            citus.prepare_migrations(connection)
            applied = _apply(connection, wanted)
            if migrations is None:
                roles.check(connection)
                requirements.let_in(connection)
            return applied
    except psycopg.OperationalError as error:
        # The driver's text can hold the DSN's host and user; the class is enough to act on with the setting's name.
        raise StartupError(
            "The database cannot be reached: check MEMORY_DATABASE_URL and that Postgres is running."
        ) from error
    except (psycopg.Error, UnicodeError) as error:  # UnicodeError: a host name that can be none
        if isinstance(error, psycopg.Error) and error.sqlstate == roles.MISSING:
            raise roles.missing() from error
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction):
            raise StartupError(
                "The database accepts no writes at the moment, and has to be migrated: start again when it does."
            ) from error
        if isinstance(error, psycopg.Error) and error.sqlstate is not None:
            raise StartupError(f"The database refused a migration ({type(error).__name__}).") from error
        raise StartupError("MEMORY_DATABASE_URL is not a Postgres connection string.") from error


def missing(connection: psycopg.Connection) -> int:
    """How many of the migrations were not applied to this database."""
    return len({migration.version for migration in load()} - {version for version, _, _ in _noted(connection)})


def _wait_for_turn(connection: psycopg.Connection, stopped: threading.Event) -> None:
    """Takes the lock under which one server migrates. Who holds it may be gone and its connection not, behind a pooler
    or a network that was cut: so the wait is told, with the process of Postgres that holds it, and can be ended."""
    connection.execute("set lock_timeout = '1s'")
    for waited in itertools.count(1):
        try:
            connection.execute("select pg_advisory_lock(%s)", (LOCK_KEY,))
        except psycopg.errors.LockNotAvailable:
            if waited % _SECONDS_BETWEEN_LINES == 1:
                row = connection.execute(QUERIES["database.advisory_lock_holders"], {"key": LOCK_KEY}).fetchone()
                log.warning("waiting_for_migrations", held_by=row[0] if row else [], seconds=waited)
            if stopped.is_set():
                raise StartupError("The start was stopped while another process held the migration lock.") from None
        else:
            connection.execute(QUERIES["database.be_patient"])
            return


def _noted(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Version, name and checksum of what was applied, in order."""
    if connection.execute("select to_regclass('schema_migrations')").fetchone() == (None,):
        return []
    return connection.execute("select version, name, checksum from schema_migrations order by version").fetchall()


def _apply(connection: psycopg.Connection, wanted: list[Migration]) -> list[str]:
    rows = _noted(connection)
    if not rows:
        connection.execute(_TABLE)
    known = {migration.version: migration for migration in wanted}
    for version, name, checksum in rows:
        migration = known.get(version)
        if migration is None:
            raise StartupError(
                f"The database has migration {version:04} ({name}), which this version of the service does not know: "
                "run the version that wrote it, or a newer one."
            )
        if migration.checksum != checksum:
            raise StartupError(
                f"Migration {version:04} ({name}) was edited after it was applied: put it back as it was and write a "
                "new one."
            )
    done = {row[0] for row in rows}
    applied = []
    for migration in wanted:
        if migration.version in done:
            continue
        with connection.transaction():
            # Where row-level security holds for the owner, a migration that changes rows would find none and be noted
            # as done. So it fails instead, and has to say what it means (decision 17).
            connection.execute("set local row_security = off")
            # One by one: Citus hands on the text that a statement stands in, and takes one of a single statement only.
            for statement in split(migration.text):
                connection.execute(statement.encode())
            connection.execute(
                "insert into schema_migrations (version, name, checksum) values (%s, %s, %s)",
                (migration.version, migration.name, migration.checksum),
            )
        applied.append(f"{migration.version:04}_{migration.name}")
    return applied

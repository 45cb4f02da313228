"""What a database must be, told in a sentence before anything is made in it."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from memory_grpc.errors import StartupError
from memory_grpc.store.migrations import migrate
from memory_grpc.store.requirements import refuse

GOOD = (160004, "UTF8", "public", "0.8.0")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_every_text_is_refused(postgres: str, encoding: str) -> None:
    name = f"memory_test_{encoding.lower()}"
    create = "create database {} encoding {} template template0 locale_provider libc locale 'C'"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(sql.SQL(create).format(sql.Identifier(name), sql.Literal(encoding)))
        try:
            dsn = make_conninfo(postgres, dbname=name)
            with pytest.raises(StartupError, match=f"The database is encoded in {encoding}, .* ENCODING 'UTF8'"):
                migrate(dsn)
            with psycopg.connect(dsn) as looking:
                assert looking.execute("select from pg_tables where schemaname = 'public'").fetchall() == []
        finally:
            connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({0: 150013}, "Postgres is too old: it is version 15, and the service needs 16 or newer."),
        ({2: None}, "The search_path of the user of MEMORY_DATABASE_URL names no schema"),
        ({3: None}, "This Postgres has no pgvector: install version 0.8.0 or newer."),
        ({3: "0.7.4"}, "pgvector is 0.7.4 in this database, and the service needs 0.8.0 or newer"),
        ({3: "0.5"}, "pgvector is 0.5 in this database"),
    ],
)
def test_what_is_missing_is_named(changes: dict[int, object], said: str) -> None:
    values = [changes.get(place, value) for place, value in enumerate(GOOD)]
    with pytest.raises(StartupError) as told:
        refuse(*values)  # type: ignore[arg-type]
    assert str(told.value).startswith(said)


@pytest.mark.parametrize("changes", [{}, {0: 180004}, {2: "tables"}, {3: "0.8.5"}, {3: "0.10.0"}, {3: "1.0"}])
def test_the_least_and_what_is_newer_is_accepted(changes: dict[int, object]) -> None:
    refuse(*[changes.get(place, value) for place, value in enumerate(GOOD)])  # type: ignore[arg-type]

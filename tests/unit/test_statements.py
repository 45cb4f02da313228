"""A text of SQL is taken apart as Postgres' own grammar does it."""

from __future__ import annotations

import pglast
import pytest

from memory_grpc.store.migrations import Migration, load
from memory_grpc.store.statements import split


@pytest.mark.parametrize("migration", load(), ids=lambda one: one.name)
def test_every_migration_is_split_as_postgres_splits_it(migration: Migration) -> None:
    assert [meant(one) for one in split(migration.text)] == [meant(one) for one in pglast.split(migration.text)]


def test_a_semicolon_in_a_body_a_text_a_name_or_a_comment_ends_nothing() -> None:
    text = """
        -- first; of all
        select ';', 'it''s;', ";" /* ; */; ;
        do $body$ begin perform 1; perform '$$;$$'; end $body$; select 2 - 1, 4 / 2; -- the end;
    """
    found = list(split(text))
    assert len(found) == 3
    assert [meant(one) for one in found] == [meant(one) for one in pglast.split(text)]


def meant(statement: str) -> object:
    """What the grammar makes of a single statement."""
    (one,) = pglast.parse_sql(statement)
    return one.stmt

"""Row-level security costs no plan: as a tenant, statements are planned as they are without it.

A policy is a condition that must hold before any other is asked that could give a row away. Distances, text matches and
jsonb operators are such; the comparisons that lead our indexes are not. So the policy's condition meets the query's own
on tenant_id, becomes a test of the setting that is made once, and leaves the scan as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg.conninfo import make_conninfo

from memory_grpc.store.queries import QUERIES, part
from tests.conftest import TEMPLATE
from tests.integration.test_row_security import NOW, OURS, READING, as_tenant, filled_in, params, query_of
from tests.plans import numbered

PLANNED = [name for name in READING if "%(tenant_id)s" in query_of(name)]

# Joins on the tenant alone: the policy tells the planner which one, and it goes by the index.
BETTER = {"retention.archive", "retention.delete"}
# Postgres does not trust `coalesce` not to tell what it sees. In a plan for any values, where it is not worked out
# before, a bound that stands in one is tested on every row of the tenant, and is no condition of the index: where the
# index has to stop at it all the same, it is a sub-select.
UNTRUSTED = re.compile(r"_at <=? coalesce\(%")


@pytest.fixture(scope="module")
def filled(template: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database of 20 tenants with 500 messages each, 25 to a conversation."""
    with psycopg.connect(template, autocommit=True) as admin:
        admin.execute(f"create database memory_plans template {TEMPLATE}".encode())
    with psycopg.connect(make_conninfo(template, dbname="memory_plans"), autocommit=True) as connection:
        register_vector(connection)
        connection.execute(
            "insert into embedding_models (name, revision, precision, dimensions, active) "
            "values ('m', 'r', 'p', 384, true)"
        )
        connection.execute(
            "insert into messages (tenant_id, id, conversation_id, role, name, content, metadata, importance, "
            "embedding_status, created_at, updated_at, archived_at) "
            f"select coalesce(nullif('t' || t, 't0'), '{OURS}'), gen_random_uuid(), 'c' || n / 25, 'user', 'Ann', "
            "'words said ' || n, '{}', 0.5, 'completed', %s::timestamptz - n * interval '1 minute', now(), "
            "case when archived then now() end "
            "from generate_series(0, 19) t, generate_series(1, 500) n, unnest(array[false, true]) archived".encode(),
            (NOW,),
        )
        connection.execute(
            "insert into message_embeddings select tenant_id, id, created_at, importance, text_key(conversation_id), "
            "0, 'infinity', 0, 1, archived_at is not null, 'u', %s from messages",
            (HalfVector(np.ones(384)),),
        )
        connection.execute(
            "insert into message_lexemes select tenant_id, id, 'simple', 0, conversation_id, created_at, name, 1, 3, "
            "to_tsvector('simple', content), archived_at is not null from messages"
        )
        connection.execute("vacuum analyze")
        connection.execute(QUERIES["database.configure"].replace("{local}", "false").encode())
        yield connection
    with psycopg.connect(template, autocommit=True) as admin:
        admin.execute("drop database memory_plans with (force)")


def plan(connection: psycopg.Connection[Any], name: str, *, generic: bool, role: bool, **other: Any) -> str:
    text = filled_in(name, 384)
    with connection.transaction(force_rollback=True):
        if role:
            as_tenant(connection, OURS)
        if generic:
            cursor = connection.execute(f"explain (costs off, generic_plan) {numbered(text)}".encode())
        else:
            values = params(name, query=HalfVector(np.ones(384)), graph_query=HalfVector(np.ones(386))) | other
            cursor = connection.execute(f"explain (costs off) {text}".encode(), values)
        return "\n".join(row[0] for row in cursor)


def scans(text: str) -> list[str]:
    """How tables and indexes are read, and what was joined how: a plan without the tests that are made once."""
    return sorted(re.findall(r"(?:[A-Z][a-z]+ )+(?:Scan|Join|Loop)(?: using \w+)?(?: on \w+)?", text))


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("name", PLANNED)
def test_a_statement_is_planned_as_without_row_level_security(
    filled: psycopg.Connection[Any], name: str, generic: bool
) -> None:
    with_role, without = plan(filled, name, generic=generic, role=True), plan(filled, name, generic=generic, role=False)
    assert "memory.tenant_id" in with_role
    assert "memory.tenant_id" not in without
    if name in BETTER or (generic and UNTRUSTED.search(filled_in(name))):
        assert "Seq Scan" not in with_role
    else:
        assert scans(with_role) == scans(without), f"{with_role}\n\n{without}"


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("search.scan", "message_embeddings_scan"),
        ("search.scan_messages", "message_embeddings_scan"),
        ("hybrid.all", "message_embeddings_scan"),
        ("hybrid.all", "message_lexemes_scan"),
        ("lexical.participants", "messages_live_by_speaker"),
    ],
)
def test_a_tenant_is_scanned_in_the_index_only(
    filled: psycopg.Connection[Any], name: str, index: str, generic: bool
) -> None:
    text = plan(filled, name, generic=generic, role=True)
    assert f"Index Only Scan using {index}" in text
    assert "Seq Scan" not in text


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("name", ["search.scan", "search.scan_messages", "hybrid.all"])
def test_a_scan_stops_at_as_of(filled: psycopg.Connection[Any], name: str, generic: bool) -> None:
    text = plan(filled, name, generic=generic, role=True)
    conditions = re.findall(r"using message_embeddings_scan on .*\n +Index Cond: (.*)", text)
    assert conditions
    assert all("created_at <= " in condition for condition in conditions), text


def test_what_was_archived_since_is_read_from_the_archive(filled: psycopg.Connection[Any]) -> None:
    statement = part("revisions.looked_back").replace("{statement}", filled_in("search.scan", 384).rstrip(";"))
    values = params("search.scan", query=HalfVector(np.ones(384)), as_of=NOW) | {"looked_back_to": NOW}
    with filled.transaction(force_rollback=True):
        as_tenant(filled, OURS)
        text = "\n".join(row[0] for row in filled.execute(f"explain (costs off) {statement}".encode(), values))
    conditions = re.findall(r"using message_embeddings_scan on .*\n +Index Cond: (.*)", text)
    assert any("archived = true" in condition for condition in conditions), text


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("as_of", [NOW, None])
@pytest.mark.parametrize("name", ["search.pooled", "hybrid.newest"])
def test_the_newest_are_read_from_where_their_decay_counts(
    filled: psycopg.Connection[Any], name: str, as_of: datetime | None, generic: bool
) -> None:
    text = plan(filled, name, generic=generic, role=True, as_of=as_of)
    conditions = re.findall(r"on message_embeddings.*\n +Index Cond: (.*)", text)
    assert any("created_at > " in condition for condition in conditions), text

"""Row-level security costs no plan: as a tenant, statements are planned as they are without it.

A policy is a condition that must hold before any other is asked that could give a row away. Distances, text matches and
jsonb operators are such; the comparisons that lead our indexes are not. So the policy's condition meets the query's own
on tenant_id, becomes a test of the setting that is made once, and leaves the scan as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg.conninfo import make_conninfo

from memory_grpc.store.queries import QUERIES
from tests.conftest import TEMPLATE
from tests.integration.test_row_security import NOW, OURS, READING, as_tenant, filled_in, params

PLANNED = [name for name in READING if "%(tenant_id)s" in QUERIES[name]]

# Joins on the tenant alone: the policy tells the planner which one, and it goes by the index.
BETTER = {"retention.archive"}


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
        columns = "conversation_id, role, name, content, metadata, importance, embedding_status, created_at, updated_at"
        for table, more, value in (("messages", "", ""), ("archived_messages", ", archived_at", ", now()")):
            connection.execute(
                f"insert into {table} (tenant_id, id, {columns}{more}) "
                f"select coalesce(nullif('t' || t, 't0'), '{OURS}'), gen_random_uuid(), 'c' || n / 25, 'user', 'Ann', "
                "'words said ' || n, '{}', 0.5, 'completed', %s::timestamptz - n * interval '1 minute', "
                f"now(){value} from generate_series(0, 19) t, generate_series(1, 500) n".encode(),
                (NOW,),
            )
        for source, target in (("messages", "message_embeddings"), ("archived_messages", "archived_embeddings")):
            connection.execute(
                f"insert into {target} select tenant_id, id, 0, 1, created_at, importance, conversation_id, role, %s "
                f"from {source}".encode(),
                (HalfVector(np.ones(384)),),
            )
        connection.execute(
            "insert into message_lexemes select tenant_id, id, 'simple', 0, conversation_id, created_at, name, 1, 3, "
            "to_tsvector('simple', content) from messages"
        )
        connection.execute("vacuum analyze")
        connection.execute(QUERIES["database.configure"].encode())
        yield connection
    with psycopg.connect(template, autocommit=True) as admin:
        admin.execute("drop database memory_plans with (force)")


def plan(connection: psycopg.Connection[Any], name: str, mode: str, *, role: bool) -> str:
    with connection.transaction(force_rollback=True):
        connection.execute(f"set local plan_cache_mode = {mode}".encode())
        if role:
            as_tenant(connection, OURS)
        values = params(
            name, include_archived=False, query=HalfVector(np.ones(384)), graph_query=HalfVector(np.ones(386))
        )
        cursor = connection.execute(f"explain (costs off) {filled_in(name, 384)}".encode(), values, prepare=True)
        return "\n".join(row[0] for row in cursor)


def scans(text: str) -> list[str]:
    """How tables and indexes are read, and what was joined how: a plan without the tests that are made once."""
    return sorted(re.findall(r"(?:[A-Z][a-z]+ )+(?:Scan|Join|Loop)(?: using \w+)?(?: on \w+)?", text))


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize("name", PLANNED)
def test_a_statement_is_planned_as_without_row_level_security(
    filled: psycopg.Connection[Any], name: str, mode: str
) -> None:
    with_role, without = plan(filled, name, mode, role=True), plan(filled, name, mode, role=False)
    assert "memory.tenant_id" in with_role
    assert "memory.tenant_id" not in without
    if name in BETTER:
        assert "Seq Scan" not in with_role
    else:
        assert scans(with_role) == scans(without), f"{with_role}\n\n{without}"


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("search.semantic", "message_embeddings_scan"),
        ("search.semantic_filtered", "message_embeddings_scan"),
        ("search.semantic_newest", "message_embeddings_scan"),
        ("hybrid.columns", "message_embeddings_scan"),
        ("hybrid.columns", "message_lexemes_scan"),
        ("lexical.participants", "messages_by_speaker"),
    ],
)
def test_a_tenant_is_scanned_in_the_index_only(
    filled: psycopg.Connection[Any], name: str, index: str, mode: str
) -> None:
    text = plan(filled, name, mode, role=True)
    assert f"Index Only Scan using {index}" in text
    assert "Seq Scan" not in text

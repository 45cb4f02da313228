"""A plan that is kept is made for the average tenant: one that is far above it must not be read whole for a message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.conftest import TEMPLATE
from tests.integration.test_row_security import FILTERED, filled_in
from tests.plans import numbered

DATABASE = "memory_kept_plans"

# What these find, they find by a message's id, or in its conversation.
LOOKING_UP = {
    "embeddings.insert_many": {"messages"},
    "messages.get_many": {"messages"},
    "search.texts": {"messages"},
    "messages.bytes_of_hits": {"messages"},
    "messages.neighbours": {"messages"},
    "search.found": {"messages"},
    f"search.found{FILTERED}": {"messages"},
    "hybrid.conversations": {"messages"},
    "hybrid.known": {"message_lexemes"},
    "hybrid.stretches": {"message_lexemes", "message_embeddings"},
}


@pytest.fixture(scope="module")
def filled(template: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database of 3,000 tenants with six messages each, half of them archived, and one
    with 20,000."""
    with psycopg.connect(template, autocommit=True) as admin:
        admin.execute(f"create database {DATABASE} template {TEMPLATE}".encode())
    with psycopg.connect(make_conninfo(template, dbname=DATABASE), autocommit=True) as connection:
        connection.execute(
            "insert into messages (tenant_id, id, conversation_id, role, content, metadata, importance, "
            "embedding_status, created_at, updated_at, archived_at) "
            "select case when n < 9000 then 'small-' || n / 3 else 'large' end, gen_random_uuid(), 'c' || n / 25, "
            "'user', 'words', '{}', 0.5, 'completed', now(), now(), case when archived then now() end "
            "from generate_series(0, 18999) n, unnest(array[false, true]) archived"
        )
        connection.execute(
            "insert into message_lexemes select tenant_id, id, 'english', 0, conversation_id, created_at, name, 1, 1, "
            "to_tsvector('simple', content), archived_at is not null from messages"
        )
        connection.execute(
            "insert into embedding_models (name, revision, precision, dimensions, active) "
            "values ('m', 'r', 'p', 3, true)"
        )
        connection.execute(
            "insert into message_embeddings select tenant_id, id, created_at, importance, text_key(conversation_id), "
            "0, 'infinity', 0, 1, archived_at is not null, 'u', '[1,2,3]' from messages"
        )
        connection.execute("vacuum analyze")
        yield connection


@pytest.mark.parametrize("name", LOOKING_UP)
def test_each_message_is_looked_up_by_its_id(filled: psycopg.Connection[Any], name: str) -> None:
    with filled.transaction(force_rollback=True):
        filled.execute("set local role memory_layer_tenant")
        filled.execute("set local memory.tenant_id = 'large'")
        explain = f"explain (generic_plan) {numbered(filled_in(name, 3))}"
        plan = "\n".join(row[0] for row in filled.execute(explain.encode()))

    scans = re.findall(r"Scan (?:Backward )?(?:using \w+ )?on (\w+)(?: \w+)?  \(.*\n(.*)", plan)
    conditions = [(table, condition) for table, condition in scans if table in LOOKING_UP[name]]
    assert {table for table, _ in conditions} == LOOKING_UP[name], plan
    for _, condition in conditions:
        assert re.search(
            r"Index Cond: .*\b(id|message_id|conversation_id) = (\w+|\"[^\"]+\")\.(id|message_id|conversation_id)\b",
            condition,
        ), plan

"""A plan that is kept is made for the average tenant: one that is far above it must not be read whole for a message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from memory_grpc.store.queries import QUERIES
from tests.conftest import TEMPLATE

DATABASE = "memory_kept_plans"

# What these find, they find by a message's id.
LOOKING_UP = {
    "embeddings.insert_many": {"messages"},
    "embeddings.insert_archived": {"archived_messages"},
    "messages.get_many": {"messages", "archived_messages"},
    "hybrid.rest": {"message_lexemes"},
}


@pytest.fixture(scope="module")
def filled(template: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser's connection to a database of 3,000 tenants with three messages each, and one with 10,000."""
    with psycopg.connect(template, autocommit=True) as admin:
        admin.execute(f"create database {DATABASE} template {TEMPLATE}".encode())
    with psycopg.connect(make_conninfo(template, dbname=DATABASE), autocommit=True) as connection:
        for table, more, value in (("messages", "", ""), ("archived_messages", ", archived_at", ", now()")):
            connection.execute(
                f"insert into {table} (tenant_id, id, conversation_id, role, content, metadata, importance, "
                f"embedding_status, created_at, updated_at{more}) "
                "select case when n < 9000 then 'small-' || n / 3 else 'large' end, gen_random_uuid(), 'c' || n / 25, "
                f"'user', 'words', '{{}}', 0.5, 'completed', now(), now(){value} "
                "from generate_series(0, 18999) n".encode()
            )
        connection.execute(
            "insert into message_lexemes select tenant_id, id, 'english', 0, conversation_id, created_at, name, 1, 1, "
            "to_tsvector('simple', content) from messages"
        )
        connection.execute("vacuum analyze")
        yield connection


@pytest.mark.parametrize("name", LOOKING_UP)
def test_each_message_is_looked_up_by_its_id(filled: psycopg.Connection[Any], name: str) -> None:
    numbers: dict[str, int] = {}
    text = re.sub(
        r"%\((\w+)\)[bs]",
        lambda match: f"${numbers.setdefault(match[1], len(numbers) + 1)}",
        re.sub(r"--.*", "", QUERIES[name]),
    )
    with filled.transaction(force_rollback=True):
        filled.execute("set local role memory_layer_tenant")
        filled.execute("set local memory.tenant_id = 'large'")
        plan = "\n".join(row[0] for row in filled.execute(f"explain (generic_plan) {text}".encode()))

    scans = re.findall(r"Scan (?:using \w+ )?on (\w+)(?: \w+)?  \(.*\n(.*)", plan)
    conditions = {table: condition for table, condition in scans if table in LOOKING_UP[name]}
    assert conditions.keys() == LOOKING_UP[name], plan
    for condition in conditions.values():
        assert re.search(r"Index Cond: .*\b(id|message_id) = \w+\.(id|message_id)\b", condition), plan

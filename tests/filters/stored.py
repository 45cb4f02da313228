"""Messages in a table of a real Postgres, and which of them a condition passes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from memory_grpc.filtering import Where
from memory_grpc.resources import SQL

COLUMNS = ["conversation_id", "user_id", "role", "name", "metadata", "importance", "embedding_status", "created_at"]
COLUMNS += ["archived_at", "pinned"]
TABLE = """
create temp table messages (
    id integer primary key,
    conversation_id text collate "C" not null,
    user_id text collate "C",
    role text collate "C" not null,
    name text collate "C",
    metadata jsonb not null,
    importance double precision not null,
    embedding_status text collate "C" not null,
    created_at timestamptz not null,
    archived_at timestamptz,
    pinned boolean not null
)
"""
# As vectors repeat them of their messages.
PROJECTED = """
create temp view projected as
select id, pg_temp.text_key(conversation_id) as conversation_key, coalesce(pg_temp.text_key(user_id), 0) as user_key,
    role::"char" as role, importance, created_at, archived_at is not null as archived
from messages
"""
KEY = re.compile(r"create function text_key.*?;$", re.DOTALL | re.MULTILINE)


@contextmanager
def table_of_messages(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection with a table of messages of its own, empty."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = KEY.search((SQL / "schema.sql").read_text(encoding="utf-8"))
        assert found is not None
        connection.execute(found[0].replace("text_key", "pg_temp.text_key").encode())
        connection.execute(TABLE)
        connection.execute(PROJECTED)
        yield connection


def store(connection: psycopg.Connection[Any], found: list[dict[str, Any]]) -> None:
    """Makes these the messages of the table, with their places as ids."""
    connection.execute("truncate messages")
    with connection.cursor() as cursor:
        cursor.executemany(
            f"insert into messages (id, {', '.join(COLUMNS)}) values (%s{', %s' * len(COLUMNS)})".encode(),
            [
                (number, *(json.dumps(message[name]) if name == "metadata" else message[name] for name in COLUMNS))
                for number, message in enumerate(found)
            ],
        )


def passing(connection: psycopg.Connection[Any], condition: Where, table: str = "messages") -> set[int]:
    """The ids of the messages, or of the ``projected`` ones, that a condition over `m` passes."""
    rows = connection.execute(f"select m.id from {table} m where {condition.text}".encode(), condition.params)
    return {number for (number,) in rows}


def message_with(metadata: dict[str, Any]) -> dict[str, Any]:
    """A message with this metadata."""
    return {
        "conversation_id": "c",
        "user_id": None,
        "role": "user",
        "name": None,
        "metadata": metadata,
        "importance": 0.5,
        "embedding_status": "completed",
        "created_at": "2026-11-01T00:00:00Z",
        "archived_at": None,
        "pinned": False,
    }

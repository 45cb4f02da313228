"""Filters on a real Postgres: the same messages pass as in the reference, always, and indexes are found."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_grpc.filtering import Node, is_projected, metadata_reads, parse, required_metadata, where
from tests.filters.crowded import crowded
from tests.filters.evaluate import passes
from tests.filters.generate import anything, messages
from tests.filters.stored import message_with, passing, store, table_of_messages


@pytest.fixture(scope="module")
def connection(postgres: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection with a table of messages."""
    with table_of_messages(postgres) as connection:
        yield connection


def check(connection: psycopg.Connection[Any], found: list[dict[str, Any]], nodes: list[Node]) -> Counter[bool]:
    """Holds Postgres to the reference; returns how many messages passed, and how many did not."""
    store(connection, found)
    counted: Counter[bool] = Counter()
    for node in nodes:
        expected = {number for number, message in enumerate(found) if passes(node, message)}
        conditions = [("messages", where(node, "m"))]
        conditions += [("projected", where(node, "m", projected=True))] if is_projected(node) else []
        for table, condition in conditions:
            differ = expected ^ passing(connection, condition, table)
            assert not differ, (node, [found[number] for number in differ])
        wanted = [json.dumps(part) for part in required_metadata(node)]
        rows = connection.execute("select id from messages where metadata @> all (%s::jsonb[])", [wanted])
        assert expected <= {number for (number,) in rows}
        counted += Counter({True: len(expected), False: len(found) - len(expected)})
    return counted


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(messages, min_size=1, max_size=3), st.lists(anything, min_size=1, max_size=3))
def test_the_same_messages_pass_as_in_the_reference(
    connection: psycopg.Connection[Any], found: list[dict[str, Any]], nodes: list[Node]
) -> None:
    check(connection, found, nodes)


@pytest.mark.parametrize("seed", range(25))
def test_the_same_of_crowded_messages_pass(connection: psycopg.Connection[Any], seed: int) -> None:
    counted = check(connection, *crowded(Random(seed)))
    assert min(counted.values()) > 100


METADATA = {
    "text": "web",
    "upper": "Web",
    "empty": "",
    "number": 1,
    "double": 1.0,
    "zero": -0.0,
    "tenth": 0.1,
    "huge": 1e300,
    "digits": "1",
    "on": True,
    "off": False,
    "null": None,
    "list": ["x", 1, True, None, ["y"], {"z": 1}],
    "object": {"0": "zero", "inner": {"deep": "x"}},
    "pairs": [["0", "x"]],
    "é": "e\u0301",
    "100%": "%s",
    "a.b": 1,
}


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("metadata.text = web", True),
        ("metadata.text = 'Web'", False),
        ("metadata.text > 'Web'", True),
        ("metadata.upper < web", True),
        ("metadata.text < 'web\ufeff'", True),
        ("metadata.empty = ''", True),
        ("metadata.empty:*", True),
        ("metadata.number = 1", True),
        ("metadata.number = 1.000", True),
        ("metadata.number = '1'", False),
        ("metadata.number = true", False),
        ("metadata.double = 1", True),
        ("metadata.zero = 0", True),
        ("metadata.zero < 0", False),
        ("metadata.tenth = 0.1", True),
        ("metadata.tenth = 0.10000000000000001", True),
        ("metadata.tenth < 0.1", False),
        ("metadata.huge > 9007199254740992", True),
        ("metadata.digits = 1", False),
        ("metadata.digits < 2", False),
        ("NOT metadata.digits < 2", True),
        ("metadata.on = true", True),
        ("metadata.on = 'true'", False),
        ("metadata.off = false", True),
        ("metadata.off != true", True),
        ("metadata.null:*", True),
        ("metadata:null", True),
        ("metadata.null = 'null'", False),
        ("metadata.null != 'x'", True),
        ("metadata.missing:*", False),
        ("NOT metadata.missing:*", True),
        ("metadata.missing != 'x'", True),
        ("metadata.missing < 'x'", False),
        ("metadata.list = 'x'", False),
        ("metadata.list:x", True),
        ("metadata.list:1", True),
        ("metadata.list:true", True),
        ("metadata.list:y", False),
        ("metadata.list:z", False),
        ("metadata.text:web", True),
        ("metadata.object:inner", False),
        ("metadata.object.inner.deep = x", True),
        ("metadata.object.0 = zero", True),
        ("metadata.object.inner = x", False),
        ("metadata.text.x:*", False),
        # Keys never count the items of an array.
        ("metadata.list.0:*", False),
        ("metadata.pairs.0.1 = x", False),
        ("metadata.é = 'é'", False),
        ("metadata.é = 'e\\u0301'", True),
        ("metadata.\"100%\" = '%s'", True),
        ('metadata."a.b" = 1', True),
        ("metadata.a.b = 1", False),
    ],
)
def test_metadata_is_compared_by_type_and_exactly(connection: psycopg.Connection[Any], text: str, is_so: bool) -> None:
    node = parse(text)
    message = message_with(METADATA)
    assert passes(node, message) is is_so
    store(connection, [message])
    assert passing(connection, where(node, "m")) == set(range(is_so))


@pytest.mark.parametrize(
    ("key", "text", "is_so"),
    [
        ("number", "1", True),
        ("double", "1.0", True),
        ("on", "true", True),
        ("text", "web", True),
        ("null", "null", False),
    ],
)
def test_what_metadata_reads_as_text(connection: psycopg.Connection[Any], key: str, text: str, is_so: bool) -> None:
    store(connection, [message_with(METADATA)])
    assert passing(connection, where(metadata_reads(key, text), "m")) == set(range(is_so))


@pytest.fixture(scope="module")
def indexed(postgres: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that reads an index wherever one can answer."""
    with table_of_messages(postgres) as connection:
        for columns in ["user_id", "conversation_id", "name", "created_at", "importance"]:
            connection.execute(f"create index on messages ({columns})".encode())
        connection.execute("create index live on messages (role) where archived_at is null")
        connection.execute("create index archive on messages (role) where archived_at is not null")
        connection.execute("create index kept on messages (role) where pinned")
        connection.execute("set enable_seqscan = off; set enable_bitmapscan = off")
        yield connection


@pytest.mark.parametrize("plan", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("user_id = u-7", "Index Cond: (user_id = "),
        ("conversation_id = c AND NOT role = system", "Index Cond: (conversation_id = "),
        ("name >= Ann AND name < Bob", "Index Cond: ((name >= "),
        ("created_at >= 2026-11-01T00:00:00Z", "Index Cond: (created_at >= "),
        ("NOT created_at >= 2026-11-01T00:00:00Z", "Index Cond: (created_at < "),
        ("importance > 0.5 AND metadata.a = 1", "Index Cond: (importance > "),
        ("archived = false AND role = user", "using live "),
        ("archived != true AND role = user", "using live "),
        ("NOT archived = false AND role = user", "using archive "),
        ("pinned = true AND role = user", "using kept "),
    ],
)
def test_what_must_hold_is_looked_up(indexed: psycopg.Connection[Any], plan: str, text: str, found: str) -> None:
    condition = where(parse(text), "m")
    names = list(condition.params)
    body = condition.text
    for number, name in enumerate(names, 1):
        body = body.replace(f"%({name})s", f"${number}")
    indexed.execute(f"set plan_cache_mode = {plan}".encode())
    indexed.execute(f"prepare looked_up as select id from messages m where {body}".encode())
    try:
        values = ", ".join(f"'{condition.params[name]}'" for name in names)
        rows = indexed.execute(f"explain execute looked_up{f'({values})' * bool(names)}".encode())
        assert found in "\n".join(line for (line,) in rows)
    finally:
        indexed.execute("deallocate looked_up")

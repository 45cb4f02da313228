"""A database of a test's own on a Citus cluster that somebody runs: MEMORY_TEST_CITUS is the DSN of its coordinator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from memory_grpc.store.migrations import migrate

EXTENSIONS = "create extension citus; create extension vector"


def _run(dsn: str, *statements: sql.Composable | str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode() if isinstance(statement, str) else statement)


@contextmanager
def migrated(coordinator: str, name: str) -> Iterator[str]:
    """The DSN of a migrated database that every node has, with Citus and not distributed yet; gone afterwards."""
    with psycopg.connect(coordinator) as connection:
        rows = connection.execute("select nodename, nodeport, groupid from pg_dist_node order by groupid").fetchall()
    nodes = [(host, port) for host, port, _ in rows]
    assert len(nodes) > 1, "MEMORY_TEST_CITUS has no workers"
    database = sql.Identifier(name)
    drop = sql.SQL("drop database if exists {} with (force)").format(database)
    try:
        for host, port in nodes:
            at = make_conninfo(coordinator, host=host, port=port)
            _run(at, drop, sql.SQL("create database {}").format(database))
            _run(make_conninfo(at, dbname=name), EXTENSIONS)
        dsn = make_conninfo(coordinator, dbname=name)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("select citus_set_coordinator_host(%s, %s)", nodes[0])
            for node in nodes[1:]:
                connection.execute("select citus_add_node(%s, %s)", node)
        migrate(dsn)
        yield dsn
    finally:
        for host, port in nodes:
            _run(make_conninfo(coordinator, host=host, port=port), drop)

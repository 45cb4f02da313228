"""Spreads the tenants' tables over the nodes of a Citus cluster, by ``tenant_id`` (docs/citus.md, decision 60).

All of it is one transaction: a database is distributed, or it is as it was. Run again, it finds nothing to do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from memory_grpc.errors import StartupError
from memory_grpc.store import poolers, roles
from memory_grpc.store.connections import PINS
from memory_grpc.store.migrations import missing
from memory_grpc.store.queries import QUERIES
from memory_grpc.store.tenant_tables import DISTRIBUTED

# The first that was tried.
LEAST_CITUS = (14, 0)
# Enough for 16 nodes of four cores; a rebalance moves whole shards.
DEFAULT_SHARDS = 64

# What a connection between nodes is set to, where the servers' own are set by database.pin and database.configure.
SETTINGS = {
    "timezone": "UTC",
    "row_security": "on",
    "enable_seqscan": "off",
    "jit": "off",
    # tenant_matches and tenant_metadata_matches are asked in a statement on a shard, and ask the shard beside it.
    "citus.allow_nested_distributed_execution": "on",
}
# What statements call on a shard; what tables are made with comes along with them.
FUNCTIONS = (
    "text_key",
    "erasure_digest",
    "text_lexemes",
    "message_cues",
    "tenant_matches",
    "tenant_metadata_matches",
)

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """A table that is to be distributed, about how many rows it has, and whether it is already."""

    table: str
    rows: int
    done: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in order, and on how many nodes; ``blocked`` says in sentences what stands in the way."""

    steps: tuple[Step, ...]
    nodes: int
    blocked: tuple[str, ...]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return all(step.done for step in self.steps)


def plan(connection: Connection) -> Plan:
    """What would be done to this database; changes nothing."""
    row = connection.execute(QUERIES["citus.version"]).fetchone()
    if row is None:
        return Plan((), 0, ("This database has no Citus: run CREATE EXTENSION citus on every node first.",))
    version = str(row[0])
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < LEAST_CITUS:
        least = ".".join(map(str, LEAST_CITUS))
        return Plan((), 0, (f"Citus is {version} in this database, and {least} is the least.",))
    if lacking := missing(connection):
        return Plan((), 0, (f"{lacking} migrations are missing: run memory-grpc migrate first.",))
    (nodes,) = _one(connection, "citus.nodes")
    found = Plan(_steps(connection), nodes, ())
    if found.is_done:
        return found
    blocked = []
    if not _one(connection, "citus.is_superuser")[0]:
        blocked.append("The user of MEMORY_DATABASE_URL is no superuser, which Citus needs for this.")
    if not nodes:
        blocked.append("No node may hold shards: add workers with citus_add_node.")
    for name, table in connection.execute(
        QUERIES["citus.keys_without_tenant"], {"names": list(DISTRIBUTED)}
    ).fetchall():
        blocked.append(f"The key {name} of {table} does not hold tenant_id: no shard could tell whether it is taken.")
    (connections,) = _one(connection, "citus.servers")
    if connections:
        blocked.append(f"Servers have {connections} connections to this database: stop them first.")
    return replace(found, blocked=tuple(blocked))


def distribute(
    conninfo: str, *, shards: int = DEFAULT_SHARDS, dry_run: bool = False, tell: Callable[[Step], None] = lambda _: None
) -> Plan:
    """Does it, and returns what was to be done. ``tell`` is called after each table.

    Raises StartupError when the database cannot be reached, or refuses; then nothing is changed.
    """
    try:
        with poolers.connect(conninfo) as connection:
            poolers.refuse(connection, conninfo)
            connection.execute(PINS)
            with connection.transaction():
                found = plan(connection)
                if not (found.blocked or dry_run):
                    _carry_out(connection, found.steps, shards, tell)
                return found
    except psycopg.errors.LockNotAvailable as error:
        raise StartupError("Another program holds the tables: stop what writes to them, and try again.") from error
    except psycopg.Error as error:
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
            raise StartupError("The database cannot be reached: check MEMORY_DATABASE_URL.") from error
        raise StartupError(f"Citus refused, and nothing is changed ({type(error).__name__}).") from error


def _steps(connection: Connection) -> tuple[Step, ...]:
    rows = connection.execute(QUERIES["citus.tables"], {"names": list(DISTRIBUTED)}).fetchall()
    found = {name: Step(name, count, is_distributed) for name, is_distributed, count in rows}
    return tuple(found[name] for name in DISTRIBUTED)


def _carry_out(connection: Connection, steps: Sequence[Step], shards: int, tell: Callable[[Step], None]) -> None:
    left = [step for step in steps if not step.done]
    if not left:
        return
    connection.execute(QUERIES["citus.be_patient"])
    connection.execute(QUERIES["citus.one_by_one"])
    for role in (roles.TENANT, roles.WORKER):
        _change(connection, "citus.let_in", role=sql.Identifier(role))
    for (index,) in connection.execute(QUERIES["citus.graphs"]).fetchall():
        _change(connection, "citus.drop_graph", index=sql.Identifier(index))
    connection.execute(QUERIES["citus.forget_graphs"])
    keys = connection.execute(QUERIES["citus.foreign_keys"], {"names": [step.table for step in left]}).fetchall()
    for name, table, *_ in keys:
        _change(connection, "citus.drop_foreign_key", table=sql.Identifier(table), name=sql.Identifier(name))
    for step in left:
        _spread(connection, step, shards)
        tell(step)
    for name, table, leads_to, definition in keys:
        # Models stay on the coordinator. Nothing ever removes one, so that this key keeps nothing out.
        if leads_to in DISTRIBUTED:
            _change(
                connection,
                "citus.add_foreign_key",
                table=sql.Identifier(table),
                name=sql.Identifier(name),
                definition=sql.SQL(definition),
            )
    connection.execute(QUERIES["citus.functions"], {"names": list(FUNCTIONS)})
    for role in (roles.TENANT, roles.WORKER):
        for setting, value in SETTINGS.items():
            _change(
                connection,
                "citus.everywhere",
                role=sql.Identifier(role),
                setting=sql.SQL(setting),
                value=sql.Literal(value),
            )


def _spread(connection: Connection, step: Step, shards: int) -> None:
    if step.table == DISTRIBUTED[0]:
        connection.execute(QUERIES["citus.distribute_first"], {"name": step.table, "shards": shards})
    else:
        connection.execute(QUERIES["citus.distribute_beside"], {"name": step.table, "beside": DISTRIBUTED[0]})
    connection.execute(QUERIES["citus.remove_local_rows"], {"name": step.table})


def _one(connection: Connection, query: str) -> tuple[Any, ...]:
    row = connection.execute(QUERIES[query]).fetchone()
    assert row is not None, "a count has a row"
    return row


def _change(connection: Connection, query: str, **parts: sql.Composable) -> None:
    text: LiteralString = QUERIES[query]
    connection.execute(sql.SQL(text).format(**parts))

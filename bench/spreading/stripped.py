"""Row-level security alone: what each table has for a tenant when the statement does not name the tenant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import psycopg
from psycopg import sql

from memory_grpc.store.tenant_tables import DISTRIBUTED

_KIND = "tables, counted by row-level security alone"


def stripped(dsns: Sequence[str], tenants: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """How many tables were counted in both databases, and how many differed or had another tenant's rows."""
    asked, wrong = Counter[str](), Counter[str]()
    for tenant in tenants:
        one, other = [_counted(dsn, tenant) for dsn in dsns]
        asked[_KIND] += len(one)
        wrong[_KIND] += sum(a != b or a[1] > 1 for a, b in zip(one, other, strict=True))
    return asked, wrong


def _counted(dsn: str, tenant: str) -> list[tuple[int, int]]:
    """Of each table, how many rows and how many tenants are seen."""
    with psycopg.connect(dsn) as connection:
        connection.execute("set citus.propagate_set_commands = 'local'")
        connection.execute("set local role memory_layer_tenant")
        connection.execute(sql.SQL("set local memory.tenant_id = {}").format(sql.Literal(tenant)))
        found = []
        for table in map(sql.Identifier, DISTRIBUTED):
            counts = sql.SQL("select count(*), count(distinct tenant_id) from {}").format(table)
            found += connection.execute(counts).fetchall()
        return [(rows, tenants) for rows, tenants in found]

"""Every statement of a tenant asks one shard of a Citus cluster, whether there is one here or not."""

from __future__ import annotations

import pytest

from memory_grpc.store.queries import QUERIES
from memory_grpc.store.tenant_tables import DISTRIBUTED, TENANT_TABLES
from tests.across_shards import ALL_SHARDS, SHARD_AND_COORDINATOR
from tests.integration.test_row_security import TOUCHING, base, filled_in
from tests.sql_shards import touched, unbound

SPREAD = frozenset(DISTRIBUTED)
KEPT = {table.name for table in TENANT_TABLES} - SPREAD


@pytest.mark.parametrize("name", TOUCHING)
def test_a_statement_binds_every_distributed_table_to_its_tenant(name: str) -> None:
    found = unbound(filled_in(name), SPREAD)
    assert bool(found) == (base(name) in ALL_SHARDS), found


@pytest.mark.parametrize("name", TOUCHING)
def test_a_statement_is_of_the_shards_or_of_the_coordinator(name: str) -> None:
    tables = touched(filled_in(name))
    both = bool(tables & SPREAD) and bool(tables & KEPT)
    assert both == (base(name) in SHARD_AND_COORDINATOR), tables


def test_what_is_listed_exists_and_has_a_reason() -> None:
    for listed in (ALL_SHARDS, SHARD_AND_COORDINATOR):
        assert listed.keys() <= QUERIES.keys()
        assert all(reason.endswith(".") for reason in listed.values())


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("select 1 from messages where tenant_id = %(tenant_id)s", []),
        ("select 1 from messages", ["messages"]),
        ("select 1 from messages where tenant_id = %(id)s", ["messages"]),
        ("select 1 from messages where tenant_id = %(tenant_id)s or pinned", ["messages"]),
        ("select 1 from messages where not tenant_id = %(tenant_id)s", ["messages"]),
        ("select 1 from messages m join erasures e on e.tenant_id = m.tenant_id where m.tenant_id = %(tenant_id)s", []),
        ("select 1 from messages m, erasures e where m.tenant_id = %(tenant_id)s", ["erasures"]),
        ("select 1 from tenant_graphs g join messages m on m.tenant_id = g.tenant_id", ["messages"]),
        ("with m as (select * from messages) select 1 from m where tenant_id = %(tenant_id)s", ["messages"]),
        (
            "with v as (select * from messages where tenant_id = %(tenant_id)s) "
            "update message_lexemes l set archived = true from v where l.tenant_id = v.tenant_id",
            ["message_lexemes"],
        ),
        (
            "select 1 from messages m where tenant_id = %(tenant_id)s "
            "and exists (select from erasures e where e.tenant_id = m.tenant_id)",
            ["erasures"],
        ),
        ("delete from messages using erasures e where messages.id = e.id", ["erasures", "messages"]),
        ("insert into messages (tenant_id, id) select %(tenant_id)s, %(id)s", []),
        ("insert into messages (tenant_id, id) values (%(id)s, %(id)s)", ["messages"]),
        ("insert into messages (tenant_id, id) select tenant_id, id from tenant_graphs", ["messages"]),
        (
            "insert into messages (tenant_id, id) select tenant_id, id from tenant_graphs "
            "where tenant_id = %(tenant_id)s",
            [],
        ),
        (
            "select 1 from messages m left join erasures e "
            "on m.tenant_id = %(tenant_id)s and e.tenant_id = %(tenant_id)s",
            ["messages"],
        ),
        (
            "select 1 from messages m left join erasures e on e.tenant_id = m.tenant_id "
            "where m.tenant_id = %(tenant_id)s",
            [],
        ),
    ],
)
def test_this_test_knows_sql(query: str, found: list[str]) -> None:
    assert unbound(query, SPREAD) == found

"""How Postgres runs the hybrid statement: index-only scans of both covering indexes, and no loop over a tenant for each
of its messages, whatever it knows of the tables."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector.psycopg import register_vector

from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.domain.search import SearchFilters
from memory_grpc.ranking import HybridWeights, Participants, plan_query
from memory_grpc.store import search
from memory_grpc.store.hybrid_columns import parts
from memory_grpc.store.queries import QUERIES
from tests.integration.test_search import NOW

TENANT = "acme"
MESSAGES = 5_000
CONFIG = "english"
WORDS = ("ann", "bread", "februari", "music", "w17", "2026")
# The tenant's rows in one piece, behind those of another tenant.
FILL = """
with made as materialized (
    insert into messages (
        tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status, created_at,
        updated_at
    )
    select tenant, gen_random_uuid(), 'c' || i / 20, 'user', (array['Ann', 'Bob'])[1 + i %% 2],
        'bread music w' || i %% 1000, '{}', 0.5, 'completed', timestamptz '2026-02-01' + i * interval '1 minute', now()
    from unnest(array['other', %(tenant)s]) as tenants (tenant), generate_series(1, %(messages)s) as turns (i)
    order by tenant desc, i
    returning *
), words as (
    insert into message_lexemes (
        tenant_id, message_id, config, part, conversation_id, created_at, name, parts, length, lexemes
    )
    select tenant_id, id, %(config)s, 0, conversation_id, created_at, name, 1, 4,
        to_tsvector(%(config)s::regconfig, content || ' ' || name)
    from made
)
insert into message_embeddings (
    tenant_id, message_id, chunk, model_id, created_at, importance, conversation_id, role, embedding
)
select tenant_id, id, 0, 1, created_at, importance, conversation_id, role, array_fill(0.05, array[384])::halfvec
from made
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's node and all below it."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def params(**filters: Any) -> dict[str, Any]:
    text = "Did Ann like bread and music and w17 in February 2026?"
    plan = plan_query(text, Participants(("Ann", "Bob"), ()), NOW, HybridWeights())
    vector = np.full(384, 0.05, dtype=np.float32)
    words = {f"word_{i}": f"'{word}'" for i, word in enumerate(WORDS)} | {"any_word": " | ".join(WORDS)}
    return words | search.hybrid_params(
        TENANT, 1, CONFIG, vector, plan, SearchFilters(**filters), ScoreWeights(), HybridWeights(), 10
    )


@pytest.mark.parametrize("knowledge", ["none", "analyzed"])
def test_both_tables_are_read_by_index_only_scans_and_nothing_is_a_loop_of_loops(dsn: str, knowledge: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        register_vector(connection)
        connection.execute(QUERIES["database.configure"])
        connection.execute("alter table message_embeddings set (autovacuum_enabled = off)")
        connection.execute("alter table message_lexemes set (autovacuum_enabled = off)")
        connection.execute(
            "insert into embedding_models (name, revision, precision, dimensions, active)"
            " values ('m', 'r', 'fp32', 384, true)"
        )
        given = {"tenant": TENANT, "messages": MESSAGES, "config": CONFIG}
        psycopg.ClientCursor(connection).execute(FILL, given)
        if knowledge == "analyzed":
            connection.execute("vacuum analyze")
        # As the server works: row-level security lets no operator but a leakproof one look at a row before it does.
        connection.execute("set role memory_layer_tenant")
        connection.execute("select set_config('memory.tenant_id', %s, false)", (TENANT,))
        for mode, filters in itertools.product(
            ("force_custom_plan", "force_generic_plan"), ({}, {"as_of": NOW}, {"role": "user", "candidate_limit": 100})
        ):
            statement = QUERIES["hybrid.columns"]
            for place, part in parts(len(WORDS), asks_who=True, flagged="role" in filters):
                statement = statement.replace(f"{{{place}}}", part)
            explain = f"explain (analyze, timing off, format json) {statement}".encode()
            connection.execute(f"set plan_cache_mode = {mode}")
            row = connection.execute(explain, params(**filters), prepare=True).fetchone()
            assert row is not None
            plan = (json.loads(row[0]) if isinstance(row[0], str) else row[0])[0]["Plan"]
            scans = [node for node in nodes(plan) if node.get("Relation Name") and node["Actual Loops"]]
            read = {(node["Index Name"], node["Node Type"]) for node in scans if node["Actual Rows"] >= MESSAGES}
            assert read == {
                ("message_lexemes_scan", "Index Only Scan"),
                ("message_embeddings_scan", "Index Only Scan"),
            }, f"{mode} {filters}"
            for node in nodes(plan):
                if node["Node Type"] == "Nested Loop":
                    outer, inner = node["Plans"]
                    assert min(outer["Actual Rows"], inner["Actual Rows"]) <= 20, f"{mode} {filters}: {node}"

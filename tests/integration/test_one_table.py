"""A database of before there was one table of messages, migrated: nothing is lost, and what was archived is found."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import grpc
import numpy as np
import psycopg
import pytest
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from memory_grpc.app import running
from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.filtering import text_key
from memory_grpc.store.migrations import load, migrate
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub
from tests.conftest import settings_for_tests
from tests.integration.test_ingest import eventually

BEFORE = 8
NOW = datetime(2026, 6, 1, tzinfo=UTC)
SPACE = UUID(int=1)
HASHING = ("hashing", "b2", "fp32", 384)


def id_of(tenant: str, name: str) -> UUID:
    return uuid5(SPACE, f"{tenant}/{name}")


def vector(text: str, dimensions: int = 384) -> HalfVector:
    provider = HashingProvider(dimensions)
    return HalfVector(np.asarray(provider.encode(provider.windows(text)))[0])


def store(connection: psycopg.Connection[Any], tenant: str, name: str, content: str, **values: Any) -> None:
    """A message as that version stored it: live, or archived where ``archived_at`` is given."""
    archived_at = values.pop("archived_at", None)
    status = values.pop("embedding_status", "completed")
    row = {
        "tenant_id": tenant,
        "id": id_of(tenant, name),
        "conversation_id": values.get("conversation_id", "c1"),
        "role": "user",
        "name": "Ann",
        "content": content,
        "metadata": json.dumps(values.get("metadata", {})),
        "importance": 0.5,
        "embedding_status": status,
        "created_at": values.get("created_at", NOW),
        "updated_at": NOW,
    }
    table, vectors = "messages", "message_embeddings"
    if archived_at is not None:
        row["archived_at"] = archived_at
        table, vectors = "archived_messages", "archived_embeddings"
    columns = ", ".join(row)
    places = ", ".join(f"%({column})s" for column in row)
    connection.execute(f"insert into {table} ({columns}) values ({places})".encode(), row)
    for model_id in values.get("models", [1]) if status == "completed" else []:
        connection.execute(
            f"insert into {vectors} (tenant_id, message_id, chunk, model_id, created_at, importance, conversation_id, "
            f"role, embedding) values (%s, %s, 0, %s, %s, 0.5, %s, 'user', %s)".encode(),
            (
                tenant,
                row["id"],
                model_id,
                row["created_at"],
                row["conversation_id"],
                vector(content, {1: 384, 2: 256}[model_id]),
            ),
        )
    if archived_at is None:
        connection.execute(
            "insert into message_lexemes (tenant_id, message_id, config, part, conversation_id, created_at, name, "
            "parts, length, lexemes) select %s, %s, 'english', 0, %s, %s, 'Ann', 1, length(l), l "
            "from (select to_tsvector('english', %s) || to_tsvector('english', 'Ann') as l) as words",
            (tenant, row["id"], row["conversation_id"], row["created_at"], content),
        )


@pytest.fixture
def old_dsn(empty_dsn: str) -> str:
    """Two tenants: live and archived messages, one archived before it was embedded, a long archived one, a graph, and a
    re-embedding half-way."""
    migrate(empty_dsn, load()[:BEFORE])
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        register_vector(connection)
        for model, active in ((HASHING, True), (("hashing", "b2", "fp32", 256), False)):
            connection.execute(
                "insert into embedding_models (name, revision, precision, dimensions, active) "
                "values (%s, %s, %s, %s, %s)",
                (*model, active),
            )
        for tenant in ("acme", "rival"):
            store(connection, tenant, "live", "bread is baked", metadata={"user_id": "u-7"}, models=[1, 2])
            store(
                connection, tenant, "next", "and eaten", created_at=NOW + timedelta(minutes=1), metadata={"user_id": 7}
            )
            gone = NOW - timedelta(days=40)
            archived_at = NOW - timedelta(days=10)
            store(connection, tenant, "old", "the quetzal sang", created_at=gone, archived_at=archived_at)
            store(
                connection,
                tenant,
                "waiting",
                "never embedded",
                created_at=gone,
                archived_at=archived_at,
                embedding_status="pending",
            )
            many = " ".join(f"word{i}" for i in range(400))
            store(
                connection, tenant, "long", f"{many} zugzwang", created_at=gone, archived_at=archived_at, models=[1, 2]
            )
        connection.execute(
            "insert into tenant_graphs (tenant_id, model_id, index_name, state, messages) "
            "values ('acme', 1, 'tenant_graph_old', 'ready', 2)"
        )
        connection.execute(
            "create index tenant_graph_old on message_embeddings "
            "using hnsw ((embedding::halfvec(384)) halfvec_cosine_ops) where tenant_id = 'acme' and model_id = 1"
        )
        connection.execute(
            "insert into reembeddings (previous_model_id, model_id, state, keep_old) values (1, 2, 'running', false)"
        )
        connection.execute(
            "insert into reembedding_backlog (tenant_id, message_id) values ('acme', %s)", (id_of("acme", "next"),)
        )
    return empty_dsn


def query(dsn: str, text: str, *params: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(text.encode(), params or None)
        return cursor.fetchall() if cursor.description else []


def test_every_message_is_there_once_and_the_archived_ones_are_marked(old_dsn: str) -> None:
    migrate(old_dsn)
    found = query(
        old_dsn,
        "select id, archived_at, user_id, pinned, revision, embedding_status from messages where tenant_id = 'acme'",
    )
    archived_at = NOW - timedelta(days=10)
    assert {row[0]: row[1:] for row in found} == {
        id_of("acme", "live"): (None, "u-7", False, 1, "completed"),
        id_of("acme", "next"): (None, "7", False, 1, "completed"),
        id_of("acme", "old"): (archived_at, None, False, 1, "completed"),
        id_of("acme", "waiting"): (archived_at, None, False, 1, "pending"),
        id_of("acme", "long"): (archived_at, None, False, 1, "completed"),
    }
    vectors = query(
        old_dsn, "select message_id, model_id, archived, user_key from message_embeddings where tenant_id = 'acme'"
    )
    assert sorted(vectors) == sorted(
        [
            (id_of("acme", "live"), 1, False, text_key("u-7")),
            (id_of("acme", "live"), 2, False, text_key("u-7")),
            (id_of("acme", "next"), 1, False, text_key("7")),
            (id_of("acme", "old"), 1, True, 0),
            (id_of("acme", "long"), 1, True, 0),
            (id_of("acme", "long"), 2, True, 0),
        ]
    )
    assert query(old_dsn, "select count(*) from messages") == [(10,)]


def test_words_of_archived_messages_are_what_ingest_would_have_stored(old_dsn: str) -> None:
    migrate(old_dsn)
    words = query(
        old_dsn,
        "select message_id, part, parts, archived, length, length(lexemes) from message_lexemes "
        "where tenant_id = 'acme' and archived order by message_id, part",
    )
    by_message: dict[UUID, list[tuple[Any, ...]]] = {}
    for message_id, *rest in words:
        by_message.setdefault(message_id, []).append(tuple(rest))
    assert by_message[id_of("acme", "old")] == [(0, 1, True, 3, 3)]
    long = by_message[id_of("acme", "long")]
    assert [row[0] for row in long] == list(range(len(long)))
    assert len(long) > 3
    assert {row[3] for row in long} == {402}
    assert sum(row[4] for row in long) == 402


def test_what_waits_is_queued_graphs_go_and_a_reembedding_stays(old_dsn: str) -> None:
    migrate(old_dsn)
    assert query(old_dsn, "select tenant_id, message_id from embedding_jobs order by tenant_id") == [
        (tenant, id_of(tenant, "waiting")) for tenant in ("acme", "rival")
    ]
    assert query(old_dsn, "select count(*) from tenant_graphs") == [(0,)]
    assert query(old_dsn, "select to_regclass('tenant_graph_old')") == [(None,)]
    assert query(old_dsn, "select state, model_id from reembeddings") == [("running", 2)]
    assert query(old_dsn, "select message_id from reembedding_backlog") == [(id_of("acme", "next"),)]
    assert query(old_dsn, "select to_regclass('archived_messages'), to_regclass('archived_embeddings')") == [
        (None, None)
    ]


def test_users_are_taken_from_metadata_as_ingest_takes_them(empty_dsn: str) -> None:
    given = {
        "text": ("u-7", "u-7"),
        "digits as text": ("007", "007"),
        "a whole number": (7, "7"),
        "zero": (0, "0"),
        "below zero": (-3, "-3"),
        "the largest": (2**53, str(2**53)),
        "as long as can be": ("x" * 128, "x" * 128),
        "too long": ("x" * 129, None),
        "empty": ("", None),
        "a fraction": (1.5, None),
        "true": (True, None),
        "null": (None, None),
        "an object": ({"id": "u-7"}, None),
        "an array": (["u-7"], None),
    }
    migrate(empty_dsn, load()[:BEFORE])
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        for name, (user_id, _) in given.items():
            store(
                connection, "acme", name, "words", metadata={"user_id": user_id}, embedding_status="pending", models=[]
            )
    migrate(empty_dsn)
    assert dict(query(empty_dsn, "select id, user_id from messages")) == {
        id_of("acme", name): user_id for name, (_, user_id) in given.items()
    }


@pytest.mark.asyncio
async def test_a_server_goes_on_from_there(old_dsn: str) -> None:
    async with (
        running(settings_for_tests(embedding_next_dimensions=256), old_dsn) as application,
        grpc.aio.insecure_channel(f"127.0.0.1:{application.grpc_port}") as channel,
    ):
        memory: Any = MemoryServiceStub(channel)
        request = pb.SearchMemoriesRequest(tenant_id="acme", query="quetzal never embedded", top_k=10)

        async def found(**changes: Any) -> set[str]:
            wanted = pb.SearchMemoriesRequest()
            wanted.CopyFrom(request)
            wanted.MergeFrom(pb.SearchMemoriesRequest(**changes))
            return {hit.message_id for hit in (await memory.SearchMemories(wanted)).items}

        live, archive = (
            {str(id_of("acme", name)) for name in names} for names in (("live", "next"), ("old", "waiting", "long"))
        )
        for ranking in ("semantic", "hybrid"):
            assert await found(ranking=ranking) == live
            await eventually(lambda: query(old_dsn, "select count(*) from embedding_jobs") == [(0,)])
            assert await found(ranking=ranking, include_archived=True) == live | archive
            assert await found(ranking=ranking, user_id="u-7") == {str(id_of("acme", "live"))}

"""`pending`: how many messages a search cannot find yet, by the filters of that search."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memory_grpc.embedding import Embedder
from memory_grpc.errors import EmbeddingUnavailable
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import embedding_service_pb2 as embedding
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningServer, StartRest, StartServer
from tests.integration.test_ingest import eventually, message

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]
NOW = datetime.now(UTC)


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Any:
    """``with model.down():`` messages cannot be embedded; queries can."""
    embed = Embedder.embed_messages
    state = {"is_down": False}

    async def maybe(self: Embedder, texts: Any, **options: Any) -> Any:
        if state["is_down"] or any("refused" in text for text in texts):
            raise EmbeddingUnavailable
        return await embed(self, texts, **options)

    monkeypatch.setattr(Embedder, "embed_messages", maybe)

    class Model:
        @contextmanager
        def down(self) -> Any:
            state["is_down"] = True
            yield
            state["is_down"] = False

    return Model()


def old(content: str, days: float, **fields: Any) -> pb.IngestMessageRequest:
    request = message(content, **fields)
    request.created_at.FromDatetime(NOW - timedelta(days=days))
    return request


async def pending(server: RunningServer, as_of: datetime | None = None, **fields: Any) -> int:
    """What both rankings say."""
    request = pb.SearchMemoriesRequest(**({"tenant_id": "acme", "query": "bread"} | fields))
    if as_of is not None:
        request.as_of.FromDatetime(as_of)
    said = set()
    for ranking in ("semantic", "hybrid"):
        request.ranking = ranking
        said.add((await server.memory.SearchMemories(request)).pending)
    (count,) = said
    return int(count)


async def test_it_counts_what_waits_and_falls_to_0(start_server: StartServer, rows: Rows, model: Any) -> None:
    async with start_server() as server:
        assert await pending(server) == 0
        await server.memory.IngestMessage(message("embedded"))
        with model.down():
            for n in range(3):
                await server.memory.IngestMessage(message(f"waits {n}"))
            assert await pending(server) == 3
            found = await server.memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id="acme", query="waits"))
            assert [hit.content for hit in found.items] == ["embedded"], "what waits is not among the hits"
        await eventually(lambda: rows("select count(*) from embedding_jobs") == [(0,)])
        assert await pending(server) == 0
        found = await server.memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id="acme", query="waits"))
        assert found.total == 4


async def test_what_failed_counts_until_it_is_tried_again(start_server: StartServer, rows: Rows, model: Any) -> None:
    async with start_server(embedding_max_attempts=1) as server:
        with model.down():
            await server.memory.IngestMessage(message("bread"))
            await eventually(lambda: rows("select embedding_status from messages") == [("failed",)])
        assert await pending(server) == 1
        assert await pending(server, filter="embedding_status = failed") == 1
        assert await pending(server, filter="embedding_status = pending") == 0
        await server.embedding.RetryFailedEmbeddings(embedding.RetryFailedEmbeddingsRequest(tenant_id="acme"))
        await eventually(lambda: rows("select embedding_status from messages") == [("completed",)])
        assert await pending(server) == 0


async def test_it_is_of_one_tenant_and_of_what_passes_the_filters(start_server: StartServer, model: Any) -> None:
    async with start_server() as server:
        with model.down():
            sent = [
                old("a", 1, user_id="u-1", conversation_id="c-1", name="Ann"),
                old("b", 2, user_id="u-1", conversation_id="c-2", role="assistant"),
                old("c", 3, user_id="u-2", conversation_id="c-1", importance_override=1.0),
            ]
            sent[0].metadata.update({"source": "web", "n": 1})
            sent[1].metadata.update({"source": "app", "n": 1})
            await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=sent))
            await server.memory.IngestMessage(message("d", tenant_id="other"))
            assert await pending(server) == 3
            assert await pending(server, tenant_id="other") == 1
            assert await pending(server, tenant_id="nobody") == 0
            assert await pending(server, user_id="u-1") == 2
            assert await pending(server, conversation_id="c-1") == 2
            assert await pending(server, role="assistant") == 1
            assert await pending(server, importance_min=0.4) == 1
            assert await pending(server, metadata_equals=["source=web", "source=app"]) == 2
            assert await pending(server, filter='metadata.n = 1 AND NOT name = "Ann"') == 1
            assert await pending(server, filter="metadata.n = 1", user_id="u-2") == 0
            assert await pending(server, candidate_limit=1) == 3, "candidates are what is ranked"
            assert await pending(server, NOW - timedelta(days=1.5)) == 2
            assert await pending(server, NOW - timedelta(days=10)) == 0


async def test_the_archive_counts_where_it_is_searched(start_server: StartServer, rows: Rows, model: Any) -> None:
    async with start_server() as server:
        with model.down():
            batch = [old("live", 1), old("gone", 40), old("gone too", 50)]
            await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch))
            rows("update messages set importance = 0.9 where content = 'live'")
            done = await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
            assert done.archived == 2
            assert await pending(server) == 1
            assert await pending(server, include_archived=True) == 3
            assert await pending(server, filter="archived = true") == 2
            assert await pending(server, filter="archived = false") == 1
        await eventually(lambda: rows("select count(*) from embedding_jobs") == [(0,)])
        assert await pending(server, include_archived=True) == 0


async def test_rest_shows_it_also_where_it_is_0(start_rest: StartRest, model: Any) -> None:
    async with start_rest() as rest:
        wanted = {"tenant_id": "acme", "query": "bread"}
        assert (await rest.http.get("/v1/memory/search", params=wanted)).json()["pending"] == 0
        with model.down():
            await rest.server.memory.IngestMessage(message("bread"))
            assert (await rest.http.get("/v1/memory/search", params=wanted)).json() == {
                "total": 0,
                "items": [],
                "pending": 1,
            }


async def test_it_is_counted_to_ten_thousand(server: RunningServer, rows: Rows) -> None:
    rows(
        "insert into messages (tenant_id, id, conversation_id, role, content, metadata, importance, embedding_status, "
        "created_at, updated_at) select 'acme', gen_random_uuid(), 'c', (array['user', 'system'])[1 + n %% 2], "
        "'hello', '{}', 0.5, 'failed', now(), now() from generate_series(1, 10500) n"
    )
    assert await pending(server) == 10_000
    assert await pending(server, role="user") == 5_250


async def test_concurrent_ingest_is_either_counted_or_found(start_server: StartServer, model: Any) -> None:
    """A search reads both at one moment: what was acknowledged is among the hits or among what waits."""
    async with start_server() as server:
        acknowledged = 0

        async def ingest() -> None:
            nonlocal acknowledged
            for n in range(60):
                await server.memory.IngestMessage(message(f"bread {n}", embed_later=n % 2 == 0))
                acknowledged += 1

        writing = asyncio.create_task(ingest())
        while not writing.done():
            before = acknowledged
            request = pb.SearchMemoriesRequest(tenant_id="acme", query="bread", top_k=1000)
            answer = await server.memory.SearchMemories(request)
            assert before <= answer.total + answer.pending <= 60
            await asyncio.sleep(0)
        await writing

"""Archiving against all that stores vectors and words: none is left behind as live beside an archived message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from memory_grpc.embedding import Embedder
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import embedding_service_pb2 as embedding
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import fetch, item, message, rounds
from tests.conftest import RunningServer, StartServer
from tests.projections import ADRIFT

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(3600)]

LEFT_BEHIND = """
select count(*) from messages m
where archived_at is not null and (
    exists (select from message_embeddings e where e.message_id = m.id and not e.archived)
    or exists (select from message_lexemes l where l.message_id = m.id and not l.archived)
)
"""
WAITING = "select count(*) from messages where embedding_status <> 'completed'"
LIVE = "select count(*) from messages where archived_at is null"
BARE = "select count(*) from messages m where not exists (select from message_embeddings e where e.message_id = m.id)"


def _batch(round_: int, count: int, *, embed_later: bool) -> pb.BatchIngestMessagesRequest:
    """Messages that any sweep takes, some of several windows."""
    requests = []
    for n in range(count):
        request = message(f"archived {round_} {n} " + "word " * (400 if n % 10 == 0 else 3), embed_later=embed_later)
        request.created_at.FromDatetime(datetime.now(UTC) - timedelta(days=31))
        requests.append(request)
    return pb.BatchIngestMessagesRequest(messages=requests)


async def _archiving(server: RunningServer, stopping: asyncio.Event) -> None:
    request = admin.RunRetentionRequest(tenant_id="chaos", actions=["archive"])
    while not stopping.is_set():
        await server.admin.RunRetention(request)


@pytest.mark.parametrize("with_new_model", [False, True], ids=["one model", "while re-embedding"])
async def test_8_archiving_while_embedding(
    start_server: StartServer, dsn: str, monkeypatch: pytest.MonkeyPatch, with_new_model: bool
) -> None:
    """Messages are embedded at once, afterwards and anew, on two servers, while two sweep without a pause."""
    embed, random = Embedder.embed_messages, Random(8)

    async def at_its_own_pace(self: Embedder, texts: Sequence[str], **options: Any) -> Any:
        vectors = await embed(self, texts, **options)
        await asyncio.sleep(random.random() / 100)
        return vectors

    monkeypatch.setattr(Embedder, "embed_messages", at_its_own_pace)
    settings: dict[str, Any] = {"retention_batch_size": 5, "embedding_next_dimensions": 96 if with_new_model else 0}
    with item(8, "archiving while embedding") as result:
        async with start_server(**settings) as one, start_server(**settings) as two:
            stopping = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                for server in (one, two):
                    group.create_task(_archiving(server, stopping))
                if with_new_model:
                    await one.embedding.StartReembedding(embedding.StartReembeddingRequest())
                for round_ in range(rounds("ARCHIVE", 12)):
                    for server in (one, two):
                        request = _batch(round_, 30, embed_later=round_ % 3 != 0)
                        result.tried += len((await server.memory.BatchIngestMessages(request)).messages)
                async with asyncio.timeout(60):
                    while fetch(dsn, WAITING) != [(0,)] or fetch(dsn, LIVE) != [(0,)]:
                        await asyncio.sleep(0.05)
                    if with_new_model:
                        progress = embedding.GetReembeddingRequest()
                        while (await one.embedding.GetReembedding(progress)).state != "ready":
                            await asyncio.sleep(0.05)
                stopping.set()
            assert fetch(dsn, "select count(*) from messages") == [(result.tried,)]
            assert fetch(dsn, BARE) == [(0,)], "a message lost its vectors"
            assert fetch(dsn, LEFT_BEHIND) == [(0,)]
            assert fetch(dsn, ADRIFT) == [(0,)]
            for ranking in ("semantic", "hybrid"):
                wanted = pb.SearchMemoriesRequest(tenant_id="chaos", query="archived", ranking=ranking, top_k=1000)
                assert (await one.memory.SearchMemories(wanted)).total == 0
                wanted.include_archived = True
                assert (await one.memory.SearchMemories(wanted)).total == result.tried
            result.held = result.tried

"""Changing the model: the new vectors beside the old, one cut-over, and no answer of two models at any moment."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc
import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc

from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.errors import EmbeddingUnavailable, StartupError
from memory_grpc.store import models as model_store
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import embedding_service_pb2 as embedding
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import reembedding_pb2
from tests.conftest import RunningServer, StartServer
from tests.projections import ADRIFT

Rows = Callable[..., list[tuple[Any, ...]]]

OLD, NEW = 384, 96
BOTH = {"embedding_next_dimensions": NEW}
WORDS = ["python", "rust", "bread", "train", "vienna", "garden", "music", "river"]
WORDS += ["winter", "coffee", "paper", "window", "letter", "friend", "summer", "doctor"]
QUERY = "python coffee in vienna"
LACKING = """
    select count(*) from messages m
    where embedding_status = 'completed' and not exists (
        select from message_embeddings e
        where e.tenant_id = m.tenant_id and e.message_id = m.id and e.chunk = 0 and e.model_id = coalesce(
            (select model_id from tenant_models t where t.tenant_id = m.tenant_id),
            (select id from embedding_models where active)
        )
    )
"""


def text(number: int) -> str:
    """Another text for each number; which words it shares with QUERY varies."""
    return f"{WORDS[number % 16]} {WORDS[number // 16 % 16]} {WORDS[number * 7 % 16]} number{number}"


async def fill(server: RunningServer, count: int, tenant: str = "acme", **fields: Any) -> list[str]:
    messages = [
        pb.IngestMessageRequest(tenant_id=tenant, conversation_id="c", role="user", content=text(n), **fields)
        for n in range(count)
    ]
    stored = await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=messages))
    return [message.id for message in stored.messages]


async def reaches(server: RunningServer, *states: str) -> reembedding_pb2.Reembedding:
    async with asyncio.timeout(60):
        while (work := await server.embedding.GetReembedding(embedding.GetReembeddingRequest())).state not in states:
            await asyncio.sleep(0.02)
    return work


async def reembed(server: RunningServer, *, tenant: str | None = None, **fields: Any) -> reembedding_pb2.Reembedding:
    """The whole way, to the end of the removal of old vectors."""
    started = await server.embedding.StartReembedding(embedding.StartReembeddingRequest(tenant_id=tenant, **fields))
    await reaches(server, "ready")
    await server.embedding.CutOverReembedding(embedding.CutOverReembeddingRequest(reembedding_id=started.id))
    return await reaches(server, "done")


def similarities(dimensions: int, contents: dict[str, str], query: str = QUERY) -> dict[str, float]:
    """Message id → cosine as one of the models has it, with vectors as Postgres stores them."""
    provider = HashingProvider(dimensions)

    def vector(words: str) -> np.ndarray[Any, Any]:
        return provider.encode(provider.windows(words))[0].astype(np.float16).astype(float)

    asked = vector(query)
    found = {}
    for id_, words in contents.items():
        one = vector(words)
        found[id_] = float(asked @ one / np.linalg.norm(asked) / np.linalg.norm(one))
    return found


def model_of(result: pb.SearchMemoriesResponse, references: dict[int, dict[str, float]]) -> int:
    """The one model that every similarity of an answer comes from."""
    fitting = [
        dimensions
        for dimensions, reference in references.items()
        if all(abs(item.similarity - reference[item.message_id]) < 1e-4 for item in result.items)
    ]
    assert len(fitting) == 1, f"an answer fits {fitting}"
    return fitting[0]


async def search(server: RunningServer, tenant: str = "acme", **fields: Any) -> pb.SearchMemoriesResponse:
    found: pb.SearchMemoriesResponse = await server.memory.SearchMemories(
        pb.SearchMemoriesRequest(tenant_id=tenant, query=QUERY, **({"top_k": 10} | fields))
    )
    return found


def lacking(rows: Rows) -> int:
    """Embedded messages, live and archived, without a vector of the model that is in use."""
    return int(rows(LACKING)[0][0])


async def probed(server: RunningServer, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
    probe = health_pb2_grpc.HealthStub(server.channel)
    async with asyncio.timeout(30):
        while (await probe.Check(health_pb2.HealthCheckRequest())).status != status:
            await asyncio.sleep(0.05)


@asynccontextmanager
async def repeated(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Does something again and again for as long as the block runs, and raises what it raised."""
    stop = asyncio.Event()

    async def run() -> None:
        while not stop.is_set():
            await work()

    async with asyncio.TaskGroup() as group:
        group.create_task(run())
        try:
            yield
        finally:
            stop.set()


@pytest.mark.asyncio
async def test_a_cut_over_changes_every_vector_and_removes_the_old_ones(start_server: StartServer, rows: Rows) -> None:
    async with start_server(**BOTH) as server:
        ids = await fill(server, 150)
        contents = {id_: text(n) for n, id_ in enumerate(ids)}
        references = {dimensions: similarities(dimensions, contents) for dimensions in (OLD, NEW)}
        assert model_of(await search(server), references) == OLD

        started = await server.embedding.StartReembedding(embedding.StartReembeddingRequest())
        assert (started.previous_model.dimensions, started.model.dimensions) == (OLD, NEW)
        ready = await reaches(server, "ready")
        assert (ready.total, ready.embedded, ready.refused, ready.last_error) == (150, 150, 0, "")
        assert model_of(await search(server), references) == OLD

        cut = await server.embedding.CutOverReembedding(embedding.CutOverReembeddingRequest(reembedding_id=started.id))
        assert cut.state in ("cut_over", "done")
        assert model_of(await search(server), references) == NEW
        assert (await search(server, ranking="hybrid", explain=True)).total == 10
        done = await reaches(server, "done")
        assert done.HasField("cut_over_at") and done.HasField("finished_at")
        assert rows("select distinct vector_dims(embedding) from message_embeddings") == [(NEW,)]
        again = await server.embedding.CutOverReembedding(
            embedding.CutOverReembeddingRequest(reembedding_id=started.id)
        )
        assert again == done
        late = await server.memory.IngestMessage(
            pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content=QUERY)
        )
        assert (await search(server)).items[0].message_id == late.id


@pytest.mark.asyncio
async def test_archived_messages_long_ones_and_pending_ones_come_along(start_server: StartServer, rows: Rows) -> None:
    async with start_server(**BOTH) as server:
        await fill(server, 20, created_at=Timestamp(seconds=int((datetime.now(UTC) - timedelta(days=400)).timestamp())))
        await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
        long = pb.IngestMessageRequest(
            tenant_id="acme", conversation_id="c", role="user", content=" ".join(text(n) for n in range(300))
        )
        await server.memory.IngestMessage(long)
        assert rows("select count(*) from messages where archived_at is not null") == [(20,)]
        await reembed(server)
        assert rows("select vector_dims(embedding), count(*) from message_embeddings where archived group by 1") == [
            (NEW, 20)
        ]
        assert rows("select count(*) > 3 from message_embeddings where not archived") == [(True,)]
        assert rows(ADRIFT) == [(0,)]
        assert lacking(rows) == 0
        assert (await search(server, include_archived=True)).total == 10


@pytest.mark.asyncio
async def test_one_tenant_can_go_first_and_all_can_follow(start_server: StartServer, rows: Rows) -> None:
    async with start_server(**BOTH) as server:
        tenants = ("acme", "other")
        contents = {t: {id_: text(n) for n, id_ in enumerate(await fill(server, 40, t))} for t in tenants}
        references = {
            tenant: {dimensions: similarities(dimensions, contents[tenant]) for dimensions in (OLD, NEW)}
            for tenant in contents
        }
        done = await reembed(server, tenant="acme")
        assert (done.tenant_id, done.total) == ("acme", 40)
        assert model_of(await search(server, "acme"), references["acme"]) == NEW
        assert model_of(await search(server, "other"), references["other"]) == OLD
        for tenant in tenants:
            contents[tenant] |= {id_: text(n) for n, id_ in enumerate(await fill(server, 5, tenant))}
            for dimensions in (OLD, NEW):
                references[tenant][dimensions] = similarities(dimensions, contents[tenant])
        assert model_of(await search(server, "acme"), references["acme"]) == NEW
        assert model_of(await search(server, "other"), references["other"]) == OLD
        assert lacking(rows) == 0
        assert rows("select tenant_id from tenant_models") == [("acme",)]

        await reembed(server)
        assert model_of(await search(server, "other"), references["other"]) == NEW
        assert rows("select tenant_id from tenant_models") == []
        assert rows("select distinct vector_dims(embedding) from message_embeddings") == [(NEW,)]
        assert lacking(rows) == 0


@pytest.mark.asyncio
async def test_searches_answer_throughout_and_no_answer_mixes_models(start_server: StartServer, rows: Rows) -> None:
    """Two servers, searches on both without a pause, there and back: each answer is of one model, and none is thin."""
    async with start_server(**BOTH) as first, start_server(**BOTH) as second:
        ids = await fill(first, 300)
        contents = {id_: text(n) for n, id_ in enumerate(ids)}
        references = {dimensions: similarities(dimensions, contents) for dimensions in (OLD, NEW)}
        seen: dict[int, list[int]] = {0: [], 1: []}

        def searching(number: int, server: RunningServer) -> Callable[[], Awaitable[None]]:
            async def once() -> None:
                found = await search(server)
                assert found.total == 10
                seen[number].append(model_of(found, references))

            return once

        async with repeated(searching(0, first)), repeated(searching(1, second)):
            await reembed(first)
            # Committed: from here on every server answers with the new model.
            assert model_of(await search(first), references) == NEW
            assert model_of(await search(second), references) == NEW
            await reembed(second, model="current")
            assert model_of(await search(first), references) == OLD
        for models in seen.values():
            changes = [b for a, b in zip([OLD, *models], models, strict=False) if a != b]
            assert changes == [NEW, OLD], "each server goes over once, and back once"
            assert len(models) > 10


@pytest.mark.asyncio
async def test_what_is_ingested_meanwhile_is_never_lost_from_search(start_server: StartServer, rows: Rows) -> None:
    """Writers on two servers, and a reader that looks for each message as soon as it is acknowledged."""
    async with start_server(**BOTH) as first, start_server(**BOTH) as second:
        await fill(first, 200)
        numbers = iter(range(10_000, 20_000))
        acknowledged = 0

        def writing(server: RunningServer, other: RunningServer) -> Callable[[], Awaitable[None]]:
            async def once() -> None:
                nonlocal acknowledged
                request = pb.IngestMessageRequest(
                    tenant_id="acme", conversation_id="new", role="user", content=f"unheard{next(numbers)}"
                )
                stored = await server.memory.IngestMessage(request)
                assert stored.embedding_status == "completed"
                found = await other.memory.SearchMemories(
                    pb.SearchMemoriesRequest(tenant_id="acme", query=request.content, top_k=1)
                )
                assert [item.message_id for item in found.items] == [stored.id]
                acknowledged += 1

            return once

        async with repeated(writing(first, second)), repeated(writing(second, first)):
            for model in ("next", "current", "next"):
                await reembed(first, model=model)
                assert lacking(rows) == 0
        assert acknowledged > 20
        assert rows("select count(*) from reembedding_backlog") == [(0,)]
        assert rows("select distinct vector_dims(embedding) from message_embeddings") == [(NEW,)]


@pytest.mark.asyncio
async def test_pending_messages_get_the_vectors_of_the_model_that_holds_then(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server(**BOTH) as server:

        async def pending() -> None:
            request = pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content="later")
            request.embed_later = True
            assert (await server.memory.IngestMessage(request)).embedding_status == "pending"

        async with repeated(pending):
            await reembed(server)
        async with asyncio.timeout(30):
            while rows("select count(*) from embedding_jobs") != [(0,)]:
                await asyncio.sleep(0.02)
        assert rows("select count(*) from messages where embedding_status <> 'completed'") == [(0,)]
        assert lacking(rows) == 0


@pytest.mark.asyncio
async def test_it_gets_ready_though_the_backlog_is_never_empty(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever the new model embeds for one tenant, a message of the other comes in."""
    encode = HashingProvider.encode

    async with start_server(**BOTH) as server:
        arrivals = itertools.cycle([(tenant, (await fill(server, 1, tenant))[0]) for tenant in ("other", "acme")])

        def arriving(self: HashingProvider, windows: Any) -> Any:
            if self.identity.dimensions == NEW:
                rows("insert into reembedding_backlog (tenant_id, message_id) values (%s, %s)", *next(arrivals))
            return encode(self, windows)

        monkeypatch.setattr(HashingProvider, "encode", arriving)
        started = await server.embedding.StartReembedding(embedding.StartReembeddingRequest())
        await reaches(server, "ready")
        assert rows("select count(*) from reembedding_backlog") != [(0,)]
        monkeypatch.setattr(HashingProvider, "encode", encode)
        await server.embedding.CutOverReembedding(embedding.CutOverReembeddingRequest(reembedding_id=started.id))
        await reaches(server, "done")
        assert lacking(rows) == 0


@pytest.mark.asyncio
async def test_writers_without_a_pause_do_not_keep_it_from_its_end(start_server: StartServer, rows: Rows) -> None:
    """While 32 callers write, the backlog is hardly ever empty at the moment somebody looks."""
    async with start_server(**BOTH) as server:

        async def write(number: int) -> None:
            request = pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content=text(number))
            request.embed_later = number % 2 == 0
            await server.memory.IngestMessage(request)

        async def writing() -> None:
            await asyncio.gather(*(write(number) for number in range(32)))

        async with repeated(writing):
            await reembed(server)
            during = rows("select count(*) from messages")[0][0]
            await reembed(server, model="current", keep_old=True)
        assert during > 100
        async with asyncio.timeout(30):
            while rows("select count(*) from embedding_jobs") != [(0,)]:
                await asyncio.sleep(0.02)
        assert lacking(rows) == 0
        assert rows("select count(*) from reembedding_backlog") == [(0,)]


@pytest.mark.asyncio
async def test_archiving_meanwhile_takes_the_new_vectors_along(start_server: StartServer, rows: Rows) -> None:
    async with start_server(**BOTH, retention_batch_size=7) as server:
        old = Timestamp(seconds=int((datetime.now(UTC) - timedelta(days=400)).timestamp()))

        async def archiving() -> None:
            await fill(server, 20, created_at=old)
            await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))

        async with repeated(archiving):
            await reembed(server)
            await reembed(server, model="current", keep_old=True)
        assert lacking(rows) == 0
        assert rows("select count(*) from messages where archived_at is null") == [(0,)]
        assert rows(ADRIFT) == [(0,)]


@pytest.mark.asyncio
async def test_kept_vectors_make_going_back_quick(start_server: StartServer, rows: Rows) -> None:
    async with start_server(**BOTH) as server:
        await fill(server, 30)
        await reembed(server, keep_old=True)
        assert rows("select count(*) from message_embeddings") == [(60,)]
        await fill(server, 2)
        back = await server.embedding.StartReembedding(embedding.StartReembeddingRequest(model="current"))
        ready = await reaches(server, "ready")
        assert (ready.total, ready.embedded) == (32, 32)
        await server.embedding.CutOverReembedding(embedding.CutOverReembeddingRequest(reembedding_id=back.id))
        await reaches(server, "done")
        assert rows("select vector_dims(embedding), count(*) from message_embeddings group by 1") == [(OLD, 32)]


@pytest.mark.asyncio
async def test_a_start_can_be_repeated_and_only_one_is_open(start_server: StartServer) -> None:
    async with start_server(**BOTH) as server:
        await fill(server, 3)
        first = await server.embedding.StartReembedding(embedding.StartReembeddingRequest(tenant_id="acme"))
        again = await server.embedding.StartReembedding(embedding.StartReembeddingRequest(tenant_id="acme"))
        assert again.id == first.id
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.embedding.StartReembedding(embedding.StartReembeddingRequest())
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        many = [
            server.embedding.StartReembedding(embedding.StartReembeddingRequest(tenant_id="acme")) for _ in range(5)
        ]
        assert {work.id for work in await asyncio.gather(*many)} == {first.id}


@pytest.mark.asyncio
async def test_a_cancelled_one_changes_nothing_and_the_next_goes_on_from_it(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server(**BOTH) as server:
        await fill(server, 50)
        started = await server.embedding.StartReembedding(embedding.StartReembeddingRequest())
        await reaches(server, "ready")
        for _ in range(2):
            work = await server.embedding.CancelReembedding(
                embedding.CancelReembeddingRequest(reembedding_id=started.id)
            )
            assert work.state == "cancelled"
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.embedding.CutOverReembedding(embedding.CutOverReembeddingRequest(reembedding_id=started.id))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert rows("select dimensions from embedding_models where active") == [(OLD,)]
        assert (await search(server)).total == 10
        await fill(server, 5)
        assert (await reembed(server)).total == 55
        assert lacking(rows) == 0
        done = await server.embedding.GetReembedding(embedding.GetReembeddingRequest())
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await server.embedding.CancelReembedding(embedding.CancelReembeddingRequest(reembedding_id=done.id))
        assert late.value.code() is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.asyncio
async def test_what_the_new_model_refuses_is_pending_after_the_cut_over(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = HashingProvider.encode

    def picky(self: HashingProvider, windows: Any) -> Any:
        if self.identity.dimensions == NEW and any("number7" in window.payload for window in windows):
            raise EmbeddingUnavailable
        return encode(self, windows)

    async with start_server(**BOTH) as server:
        ids = await fill(server, 20)
        monkeypatch.setattr(HashingProvider, "encode", picky)
        started = await server.embedding.StartReembedding(embedding.StartReembeddingRequest())
        ready = await reaches(server, "ready")
        assert (ready.total, ready.embedded, ready.refused) == (20, 19, 1)
        await server.embedding.CutOverReembedding(embedding.CutOverReembeddingRequest(reembedding_id=started.id))
        assert rows("select id::text, embedding_status from messages where embedding_status <> 'completed'") == [
            (ids[7], "pending")
        ]
        assert lacking(rows) == 0
        monkeypatch.setattr(HashingProvider, "encode", encode)
        async with asyncio.timeout(60):
            while rows("select count(*) from messages where embedding_status <> 'completed'") != [(0,)]:
                await asyncio.sleep(0.05)
        assert (await server.memory.GetMessage(pb.GetMessageRequest(message_id=ids[7]))).content == text(7)
        assert lacking(rows) == 0


@pytest.mark.asyncio
async def test_a_comparison_says_how_the_first_hits_change(start_server: StartServer) -> None:
    async with start_server(**BOTH) as server:
        ids = await fill(server, 120)
        contents = {id_: text(n) for n, id_ in enumerate(ids)}
        await fill(server, 10, "other")
        started = await server.embedding.StartReembedding(embedding.StartReembeddingRequest(tenant_id="acme"))
        request = embedding.CompareReembeddingRequest(reembedding_id=started.id, sample=20, details=True)
        await reaches(server, "ready")
        found = await server.embedding.CompareReembedding(request)
        assert (found.asked, found.compared, len(found.details)) == (20, 20, 20)
        for change in found.details:
            assert change.tenant_id == "acme"
            before, after = [[hit.message_id for hit in hits] for hits in (change.before, change.after)]
            assert change.message_id not in before + after, "a message is no hit of its own"
            assert len(before) == len(after) == 10
            assert change.overlap == pytest.approx(len(set(before) & set(after)) / 10)
            assert change.first_changed == (before[0] != after[0])
            for dimensions, hits in ((OLD, change.before), (NEW, change.after)):
                reference = similarities(dimensions, contents, contents[change.message_id])
                ranked = sorted((reference[h.message_id] for h in hits), reverse=True)
                others = sorted((s for id_, s in reference.items() if id_ != change.message_id), reverse=True)
                assert ranked == pytest.approx(others[:10], abs=1e-3)
        assert found.overlap == pytest.approx(sum(change.overlap for change in found.details) / 20)
        assert found.first_changed == pytest.approx(sum(change.first_changed for change in found.details) / 20)
        repeat = await server.embedding.CompareReembedding(request)
        assert [change.message_id for change in repeat.details] == [change.message_id for change in found.details]

        own = await server.embedding.CompareReembedding(
            embedding.CompareReembeddingRequest(reembedding_id=started.id, queries=[QUERY, "bread"])
        )
        assert (own.asked, own.compared, len(own.details)) == (2, 2, 0)


@pytest.mark.asyncio
async def test_calls_out_of_turn_are_refused_with_a_sentence(start_server: StartServer, server: RunningServer) -> None:
    calls: list[tuple[str, Any, grpc.StatusCode]] = [
        ("GetReembedding", embedding.GetReembeddingRequest(), grpc.StatusCode.NOT_FOUND),
        ("GetReembedding", embedding.GetReembeddingRequest(reembedding_id=9), grpc.StatusCode.NOT_FOUND),
        ("CutOverReembedding", embedding.CutOverReembeddingRequest(reembedding_id=9), grpc.StatusCode.NOT_FOUND),
        ("CancelReembedding", embedding.CancelReembeddingRequest(reembedding_id=9), grpc.StatusCode.NOT_FOUND),
        ("CompareReembedding", embedding.CompareReembeddingRequest(reembedding_id=9), grpc.StatusCode.NOT_FOUND),
        ("CutOverReembedding", embedding.CutOverReembeddingRequest(), grpc.StatusCode.INVALID_ARGUMENT),
        ("StartReembedding", embedding.StartReembeddingRequest(model="best"), grpc.StatusCode.INVALID_ARGUMENT),
        # This server holds one model.
        ("StartReembedding", embedding.StartReembeddingRequest(), grpc.StatusCode.FAILED_PRECONDITION),
    ]
    for name, request, code in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await getattr(server.embedding, name)(request)
        assert refused.value.code() is code, name
    started = await server.embedding.StartReembedding(embedding.StartReembeddingRequest(model="current"))
    await reaches(server, "ready")
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await server.embedding.CompareReembedding(
            embedding.CompareReembeddingRequest(reembedding_id=started.id, queries=["whose?"])
        )
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.asyncio
async def test_a_cut_over_before_every_vector_is_there_is_refused(start_server: StartServer, rows: Rows) -> None:
    async with start_server(**BOTH) as both:
        await fill(both, 3)
        await both.embedding.StartReembedding(embedding.StartReembeddingRequest())
        await reaches(both, "ready")
    rows("update reembeddings set state = 'running'")
    async with start_server() as alone:  # it does not hold the new model, so that nobody works
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await alone.embedding.CutOverReembedding(embedding.CutOverReembeddingRequest(reembedding_id=1))
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.asyncio
async def test_a_server_left_behind_says_so_stores_all_the_same_and_never_mixes(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server() as behind, start_server(**BOTH) as ahead:
        await fill(behind, 10)
        await reembed(ahead)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await search(behind)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "does not have the embedding model" in (refused.value.details() or "")
        request = pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content=QUERY)
        stored = await behind.memory.IngestMessage(request)
        assert stored.embedding_status == "pending"
        async with asyncio.timeout(30):  # the other server's workers
            while (await search(ahead)).items[0].message_id != stored.id:
                await asyncio.sleep(0.02)
        assert lacking(rows) == 0
        await probed(behind, health_pb2.HealthCheckResponse.NOT_SERVING)
        await probed(ahead, health_pb2.HealthCheckResponse.SERVING)
        # The cut back is followed too.
        await reembed(ahead, model="current")
        await probed(behind, health_pb2.HealthCheckResponse.SERVING)
        assert (await search(behind)).total == 10


@pytest.mark.asyncio
async def test_a_start_without_the_model_in_use_is_refused_with_both_names_and_the_command(
    start_server: StartServer,
) -> None:
    async with start_server(**BOTH) as server:
        await fill(server, 3)
        await fill(server, 3, "other")
        await reembed(server, tenant="acme")
    with pytest.raises(StartupError, match=r"Some tenants have embeddings of .*96 dim.*384 dim.*memory-grpc reembed"):
        async with start_server():
            pass
    async with start_server(**BOTH) as server:
        await reembed(server)
    with pytest.raises(StartupError, match=r"The database holds embeddings of .*96 dim.*384 dim.*memory-grpc reembed"):
        async with start_server():
            pass
    async with start_server(embedding_dimensions=NEW) as server:
        assert (await search(server)).total == 3


@pytest.mark.asyncio
async def test_a_cut_over_waits_for_whoever_stores_vectors(start_server: StartServer) -> None:
    async with start_server(**BOTH) as server:
        await fill(server, 3)
        started = await server.embedding.StartReembedding(embedding.StartReembeddingRequest())
        await reaches(server, "ready")
        request = embedding.CutOverReembeddingRequest(reembedding_id=started.id)
        async with server.database.transaction(tenant="acme") as tx:
            await model_store.lock_shared(tx, "acme")
            cutting = asyncio.ensure_future(server.embedding.CutOverReembedding(request))
            await asyncio.sleep(0.3)
            assert not cutting.done()
            assert (await search(server)).total == 3, "searches wait for nobody"
        assert (await cutting).state in ("cut_over", "done")


@pytest.mark.asyncio
async def test_the_new_model_s_graph_is_there_at_the_cut_over_and_the_old_one_goes(
    start_server: StartServer, rows: Rows
) -> None:
    usable = "select model_id from tenant_graphs where state = 'ready' order by model_id"

    async def graphs(*model_ids: int) -> None:
        async with asyncio.timeout(60):
            while rows(usable) != [(id_,) for id_ in model_ids]:
                await asyncio.sleep(0.05)

    async with start_server(**BOTH, graph_threshold=100, graph_check_seconds=0.2) as server:
        await fill(server, 150)
        await graphs(1)
        started = await server.embedding.StartReembedding(embedding.StartReembeddingRequest(tenant_id="acme"))
        await reaches(server, "ready")
        await graphs(1, 2)
        await server.embedding.CutOverReembedding(embedding.CutOverReembeddingRequest(reembedding_id=started.id))
        await graphs(2)
        assert (await search(server)).total == 10


@pytest.mark.asyncio
async def test_archiving_and_adding_vectors_wait_for_each_other(start_server: StartServer, rows: Rows) -> None:
    """Archiving that began before a vector was committed would leave it behind."""
    async with start_server(**BOTH) as server:
        old = Timestamp(seconds=int((datetime.now(UTC) - timedelta(days=400)).timestamp()))
        await fill(server, 5, created_at=old)
        async with server.database.transaction(tenant="acme") as tx:
            await model_store.lock_tenant_shared(tx, "acme")  # as whoever adds vectors
            archive = admin.RunRetentionRequest(tenant_id="acme", actions=["archive"])
            archiving = asyncio.ensure_future(server.admin.RunRetention(archive))
            await asyncio.sleep(0.3)
            assert not archiving.done()
        assert (await archiving).archived == 5
        async with server.database.transaction(tenant="acme") as tx:
            await model_store.lock_tenant_exclusive(tx, "acme")  # as archiving
            await server.embedding.StartReembedding(embedding.StartReembeddingRequest(tenant_id="acme"))
            await asyncio.sleep(2.0)
            assert (await server.embedding.GetReembedding(embedding.GetReembeddingRequest())).embedded == 0
        assert (await reaches(server, "ready")).embedded == 5


def test_ids_of_messages_are_past_the_first_cursor() -> None:
    from memory_grpc.store import reembedding

    assert UUID(int=0) == reembedding.FIRST

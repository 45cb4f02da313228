"""A tenant beside others has a few reads and writes at work at once; the rest of them wait at the door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import pytest_asyncio

from memory_grpc import deadline
from memory_grpc.embedding import Embedder
from memory_grpc.operations.messages.group_commit import GroupCommit
from memory_grpc.operations.search.search import Search
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import until
from tests.conftest import RunningServer, StartServer

pytestmark = pytest.mark.asyncio

KEY = "a-key-of-the-settings-that-may-do-all"
METADATA = (("x-api-key", KEY),)
GREEDY, OTHER = "greedy", "other"
CONNECTIONS, FEW = 8, 2


class Held:
    """Searches of one tenant, each of which stays where it begins until it may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inside = 0
        self.go = asyncio.Event()
        call: Any = Search.__call__

        async def held(search: Search, request: Any) -> Any:
            if request.tenant_id == GREEDY:
                self.inside += 1
                await self.go.wait()
            return await call(search, request)

        monkeypatch.setattr(Search, "__call__", held)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


@pytest_asyncio.fixture
async def server(start_server: StartServer, held: Held) -> AsyncIterator[RunningServer]:
    async with start_server(api_keys=KEY, database_pool_max_size=CONNECTIONS) as server:
        yield server


async def search(server: RunningServer, tenant: str) -> int:
    request = pb.SearchMemoriesRequest(tenant_id=tenant, query="anything")
    return int((await server.memory.SearchMemories(request, metadata=METADATA)).total)


async def test_a_tenant_alone_has_as_many_as_come(server: RunningServer, held: Held) -> None:
    searches = [asyncio.create_task(search(server, GREEDY)) for _ in range(12)]
    await until(lambda: held.inside == 12, 20, "all of them are at work")
    held.go.set()
    assert await asyncio.gather(*searches) == [0] * 12


async def test_beside_others_it_has_a_few_and_the_others_and_administration_are_served(
    server: RunningServer, held: Held
) -> None:
    await search(server, OTHER)
    searches = [asyncio.create_task(search(server, GREEDY)) for _ in range(12)]
    await until(lambda: held.inside == FEW, 20, "a few of them are at work")
    assert await search(server, OTHER) == 0
    await server.admin.RunRetention(
        admin.RunRetentionRequest(tenant_id=GREEDY, actions=["archive"], dry_run=True), metadata=METADATA
    )
    assert held.inside == FEW
    held.go.set()
    assert await asyncio.gather(*searches) == [0] * 12


async def test_single_messages_are_stored_together_beside_others_too(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups: list[int] = []
    work: Any = GroupCommit._do

    async def counted(commit: Any, group: Any) -> None:
        if commit._name == "ingest.store":
            groups.append(len(group))
        await work(commit, group)

    monkeypatch.setattr(GroupCommit, "_do", counted)
    await search(server, OTHER)
    said = (
        pb.IngestMessageRequest(tenant_id=GREEDY, conversation_id="c", role="user", content=f"{n}") for n in range(96)
    )
    await asyncio.gather(*(server.memory.IngestMessage(one, metadata=METADATA) for one in said))
    assert sum(groups) == 96 and max(groups) > FEW


async def test_a_vector_is_kept_however_long_its_call_then_waits_for_others_of_its_callers(
    server: RunningServer, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed, begun, go = Embedder.embed_messages, asyncio.Event(), asyncio.Event()

    async def slowly(self: Embedder, texts: Sequence[str], **options: Any) -> Any:
        begun.set()
        await go.wait()
        return await embed(self, texts, **options)

    monkeypatch.setattr(Embedder, "embed_messages", slowly)
    monkeypatch.setattr(deadline, "_MOST", 0.1)  # of its time is what the model has: a second
    await search(server, OTHER)
    request = pb.IngestMessageRequest(tenant_id=GREEDY, conversation_id="c", role="user", content="hello")

    async def ingest() -> str:
        return (await server.memory.IngestMessage(request, metadata=METADATA, timeout=10)).embedding_status

    message = asyncio.create_task(ingest())
    await begun.wait()
    searches = [asyncio.create_task(search(server, GREEDY)) for _ in range(FEW)]
    await until(lambda: held.inside == FEW, 20, "all of its places are taken")
    go.set()
    await asyncio.sleep(1.1)  # the time of the model is over, and that of the call is not
    held.go.set()
    assert await message == "completed"
    assert await asyncio.gather(*searches)

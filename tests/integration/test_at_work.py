"""A tenant beside others has a few reads and writes at work at once; the rest of them wait at the door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

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

"""One tenant's slow searches, many of them: others get their connections, and the accounts tell whose work it was."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2, status_pb2
from prometheus_client.registry import REGISTRY
from structlog.testing import capture_logs

from memory_grpc import server as serving
from memory_grpc.accounts import ACCOUNTS
from memory_grpc.at_work import AtWork
from memory_grpc.operations.search import search as operation
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import until
from tests.conftest import RunningServer, StartServer

pytestmark = pytest.mark.asyncio

CONNECTIONS, WAITING = 4, 4
GREEDY, OTHER = "greedy", "other"


def search(tenant: str) -> pb.SearchMemoriesRequest:
    return pb.SearchMemoriesRequest(tenant_id=tenant, query="three different words", ranking="hybrid")


class Slow:
    """Searches of some tenants, which stay in their transaction until they may go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tenants = {GREEDY}
        self.inside: list[str] = []
        self.go = asyncio.Event()
        selected: Any = operation.selected  # type: ignore[attr-defined]  # a name of that module's

        async def held(tx: Any, request: Any, wanted: Any) -> Any:
            if request.tenant_id in self.tenants:
                self.inside.append(request.tenant_id)
                await self.go.wait()
            return await selected(tx, request, wanted)

        monkeypatch.setattr(operation, "selected", held)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    return Slow(monkeypatch)


@pytest_asyncio.fixture
async def few(start_server: StartServer, slow: Slow, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningServer]:
    # As for streams and what else has no place at the door: all calls come to the connections.
    monkeypatch.setattr(serving, "AtWork", lambda few, most: AtWork(most, most))
    async with start_server(
        database_pool_max_size=CONNECTIONS, database_pool_max_waiting=WAITING, database_pool_timeout_seconds=60
    ) as server:
        yield server
        slow.go.set()


def begun(server: RunningServer, tenant: str, calls: int) -> list[Any]:
    return [asyncio.ensure_future(server.memory.SearchMemories(search(tenant))) for _ in range(calls)]


async def taken(server: RunningServer, slow: Slow) -> list[Any]:
    """The greedy tenant has all the connections that one may have, and more of its calls wait."""
    calls = begun(server, GREEDY, CONNECTIONS)
    await until(lambda: slow.inside == [GREEDY] * 3, 20, "three connections are taken")
    return calls


async def test_another_tenants_search_is_served_while_one_holds_all_it_may(few: RunningServer, slow: Slow) -> None:
    with capture_logs() as logs:
        calls = await taken(few, slow)
        await few.memory.SearchMemories(search(OTHER))
        assert not slow.go.is_set() and not any(call.done() for call in calls)
        assert slow.inside == [GREEDY] * 3
        slow.go.set()
        await asyncio.gather(*calls)
    (told,) = [line for line in logs if line["event"] == "database_share_met"]
    assert (told["tenant"], told["connections"]) == (GREEDY, 3)


async def test_a_tenant_beside_others_has_a_quarter_of_the_connections(few: RunningServer, slow: Slow) -> None:
    await few.memory.SearchMemories(search(OTHER))
    calls = begun(few, GREEDY, CONNECTIONS)
    turns: Any = few.database._turns
    await until(lambda: slow.inside == [GREEDY] and turns._places.waiting == CONNECTIONS - 1, 20, "the others wait")
    await few.memory.SearchMemories(search(OTHER))
    assert not any(call.done() for call in calls)
    slow.go.set()
    await asyncio.gather(*calls)


async def test_who_fills_the_line_while_others_wait_is_refused_with_a_reason(few: RunningServer, slow: Slow) -> None:
    slow.tenants.add(OTHER)
    calls = await taken(few, slow)
    others = begun(few, OTHER, 1)
    await until(lambda: OTHER in slow.inside, 20, "the last connection is the other tenant's")
    calls += begun(few, GREEDY, WAITING - 1)
    turns: Any = few.database._turns
    await until(lambda: turns._places.waiting == WAITING, 20, "the line is full")
    others += begun(few, OTHER, 1)
    (refused,) = (await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=20))[0]
    error = refused.exception()
    assert isinstance(error, grpc.aio.AioRpcError) and error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailers = dict(error.trailing_metadata() or ())
    info = error_details_pb2.ErrorInfo()
    status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details[0].Unpack(info)  # type: ignore[arg-type]
    assert (info.reason, trailers["retry-after"]) == ("DATABASE_QUEUE_FULL", "1")
    slow.go.set()
    await asyncio.gather(*(call for call in (*calls, *others) if call is not refused))


async def test_work_is_accounted_by_tenant_and_in_all(few: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()  # and stays: nothing decays meanwhile
    for ledger in (ACCOUNTS.tenants, ACCOUNTS.keys):
        monkeypatch.setattr(ledger, "_clock", lambda: now)

    def total(kind: str) -> float:
        return REGISTRY.get_sample_value("memory_work_total", {"kind": kind}) or 0.0

    tenant = "counted"
    before = {kind: total(kind) for kind in ACCOUNTS.tenants.of(tenant)}
    key_before = ACCOUNTS.keys.of("anonymous")
    message = pb.IngestMessageRequest(tenant_id=tenant, conversation_id="c", role="user", content="some words")
    answer = await few.memory.IngestMessage(message)
    request = search(tenant)
    found = await few.memory.SearchMemories(request)
    account = ACCOUNTS.tenants.of(tenant)
    sent, got = message.ByteSize() + request.ByteSize(), answer.ByteSize() + found.ByteSize()
    expected = {"windows": 2, "query_words": 3, "bytes_in": sent, "bytes_out": got}
    assert {kind: account[kind] for kind in expected} == expected
    assert 0 < account["database_seconds"] < 60
    assert {kind: total(kind) - before[kind] for kind in expected} == expected
    assert total("database_seconds") > before["database_seconds"]
    assert ACCOUNTS.keys.of("anonymous")["bytes_in"] - key_before["bytes_in"] == pytest.approx(sent, abs=1e-6)

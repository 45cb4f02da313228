"""Refusing in front of the chain: when, and with the answer that the chain would give."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio
from prometheus_client import generate_latest

from memory_grpc.interceptors.concurrency import ConcurrencyLimiter
from memory_grpc.interceptors.gate import Gate
from memory_grpc.interceptors.shed import Shed
from memory_grpc.observability import metrics
from memory_grpc.operations.models.registry import Slot
from memory_grpc.server import Server
from memory_layer.v1.memory_service_pb2 import IngestMessageRequest
from tests.unit.interceptors.fakes import HEALTH, METHOD, PROBE
from tests.unit.interceptors.test_chain import settings

INGEST = "/memory_layer.v1.MemoryService/IngestMessage"
STREAM = "/memory_layer.v1.MemoryService/StreamIngest"
POLICY = "/memory_layer.v1.PolicyService/GetTenantPolicy"


def shed(*, is_open: bool = True) -> tuple[Shed, ConcurrencyLimiter]:
    gate, door = Gate(), ConcurrencyLimiter(floor=1, ceiling=1, seconds=15.0)
    gate.is_open = is_open
    return Shed(gate, door), door


def test_calls_are_refused_while_their_kind_has_no_place() -> None:
    refusal, door = shed()
    assert refusal(INGEST, {}) is None
    assert door.bounds["write"].enter()
    assert refusal(INGEST, {}) is not None
    assert refusal(METHOD, {}) is None, "reads have places of their own"
    door.bounds["write"].leave(0.1)
    assert refusal(INGEST, {}) is None


def test_other_kinds_are_left_to_the_chain() -> None:
    refusal, door = shed()
    for bound in door.bounds.values():
        assert bound.enter()
    assert [refusal(method, {}) for method in (STREAM, POLICY, HEALTH, PROBE, "/x/Y", "")] == [None] * 6


def test_names_that_only_end_like_ours_are_left_to_the_chain() -> None:
    refusal, door = shed()
    for bound in door.bounds.values():
        assert bound.enter()
    assert refusal(METHOD, {}) is not None
    strangers = ("/evil.v1.Evil/GetMessage", "/memory_layer.v1.Evil/SearchMemories", "/IngestMessage", "GetMessage")
    strangers += (METHOD.strip("/"), f"{METHOD}/", f"/{METHOD}", f"{METHOD}\n")
    assert [refusal(method, {}) for method in strangers] == [None] * len(strangers)


def test_a_server_that_does_not_serve_says_so_instead() -> None:
    refusal, door = shed(is_open=False)
    assert door.bounds["write"].enter()
    assert refusal(INGEST, {}) is None


def test_it_is_known_that_a_place_was_needed() -> None:
    """So that the bound rises again when calls are in time."""
    refusal, door = shed()
    bound = door.bounds["write"] = type(door.bounds["write"])(1, 2)
    bound._limit = 1.0
    assert bound.enter()
    assert refusal(INGEST, {}) is not None
    bound.leave(0.1)
    assert bound.limit == 2


@pytest_asyncio.fixture
async def full() -> AsyncIterator[tuple[Any, grpc.aio.Channel]]:
    """A server without operations whose places are all taken, and a channel to it."""
    server = Server(settings(max_calls_in_flight=1), Slot())
    port = await server.start()
    await server.open()
    door = server.chain._shortcut._door  # type: ignore[attr-defined]
    assert door.bounds["write"].enter()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield server, channel
    await server.drain()


async def answer(channel: grpc.aio.Channel, *metadata: tuple[str, str]) -> Any:
    request = IngestMessageRequest(tenant_id="t", conversation_id="c", role="user", content="x" * 50_000)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(INGEST)(request.SerializeToString(), metadata=metadata, timeout=10)
    return caught.value


@pytest.mark.asyncio
async def test_the_answer_is_the_one_of_the_chain(full: Any) -> None:
    server, channel = full
    named = ("x-request-id", "r-7")
    short = await answer(channel, named)
    server.chain._shortcut = lambda method, metadata: None
    whole = await answer(channel, named)
    assert short.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (short.code(), short.details()) == (whole.code(), whole.details())
    trailers = dict(short.trailing_metadata())
    assert trailers == dict(whole.trailing_metadata())
    assert (trailers["x-request-id"], trailers["retry-after"]) == ("r-7", "1")


@pytest.mark.asyncio
async def test_a_call_that_is_refused_is_named_and_counted(full: Any) -> None:
    _, channel = full
    labels = ("unary", "memory_layer.v1.MemoryService", "IngestMessage")
    counters = (
        metrics.CALLS_STARTED.labels(*labels),
        metrics.CALLS_HANDLED.labels(*labels, "RESOURCE_EXHAUSTED"),
        metrics.CALLS_SHED.labels("write"),
    )
    before = [counter._value.get() for counter in counters]
    names = {dict((await answer(channel)).trailing_metadata())["x-request-id"] for _ in range(3)}
    assert len(names) == 3
    assert [counter._value.get() for counter in counters] == [count + 3 for count in before]


@pytest.mark.asyncio
async def test_no_name_of_a_stranger_s_becomes_a_metric(full: Any) -> None:
    server, channel = full
    assert server.chain._shortcut._door.bounds["read"].enter()
    for method in ("/memory_layer.v1.Evil/SearchMemories", "/evil.v1.Evil/IngestMessage", "/Evil/Evil"):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(method)(b"", timeout=10)
        # The chain's answer, where nobody is there yet to say whether a key is needed; not the refusal in front of it.
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert b"grpc_server" in generate_latest()
    assert b"Evil" not in generate_latest()

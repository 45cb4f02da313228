"""The order of the interceptors, and what it is good for; on a real server, without a database behind it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from memory_grpc.errors import BodyTooLarge, InvalidInput, MalformedRequest, MemoryLayerError
from memory_grpc.interceptors import chain, decode
from memory_grpc.interceptors.call import Call
from memory_grpc.interceptors.chain import Chain
from memory_grpc.operations.models.registry import Slot
from memory_grpc.server import Server
from memory_grpc.settings import Settings
from memory_layer.v1.admin_service_pb2 import GetHealthRequest
from memory_layer.v1.memory_service_pb2 import GetMessageRequest, IngestMessageRequest
from tests.unit.interceptors.fakes import HEALTH, METHOD, FakeContext

ORDER = [
    "observe",
    "translate",
    "gate",
    "concurrency",
    "rate_limit",
    "audit",
    "deadline",
    "authenticate",
    "key_limit",
    "authorize",
    "position",
    "share",
]
GET = GetMessageRequest(message_id="550e8400-e29b-41d4-a716-446655440000").SerializeToString()
ROOT = "a-key-of-this-test"
KEY = (("x-api-key", ROOT),)


def settings(**changes: Any) -> Settings:
    return Settings(**({"grpc_port": 0, "global_rate_limit": "", "drain_seconds": 0.0} | changes))


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Any]:
    """Starts servers that have no operations yet, their gate open, and returns a channel to each."""
    servers: list[Server] = []
    channels: list[grpc.aio.Channel] = []

    async def start(*, serving: bool = True, **changes: Any) -> grpc.aio.Channel:
        servers.append(Server(settings(**changes), Slot()))
        port = await servers[-1].start()
        if serving:
            await servers[-1].open()
        channels.append(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
        return channels[-1]

    yield start
    for channel in channels:
        await channel.close()
    for server in servers:
        await server.drain()


async def outcome(channel: grpc.aio.Channel, method: str, request: bytes, metadata: Any = ()) -> tuple[str, str]:
    """Sends bytes as they are; returns code and reason of the failure."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(method)(request, metadata=metadata, timeout=10)
    trailers = dict(caught.value.trailing_metadata() or ())
    assert trailers.get("x-request-id"), "every answer names its request"
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    status.details[0].Unpack(info)
    return caught.value.code().name, info.reason


@pytest.mark.asyncio
async def test_the_server_s_chain_has_its_interceptors_in_order() -> None:
    server = Server(settings(), Slot())
    modules = [interceptor.__module__ for interceptor in server.chain.interceptors]  # type: ignore[attr-defined]
    assert modules == [f"memory_grpc.interceptors.{name}" for name in ORDER]
    await server.drain()


def test_the_table_of_the_module_names_them_in_that_order() -> None:
    _, table, _ = re.split(r"^=+  =+$", chain.__doc__ or "", flags=re.MULTILINE)
    names = [line.split()[0] for line in table.strip().splitlines()]
    assert names == [*ORDER, "(decode)", "(permit)", "(encode)"]


class Trace:
    """Interceptors and a handler that write down what happened."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.calls: list[Call] = []

    def interceptor(self, name: str, error: Exception | None = None) -> Any:
        @asynccontextmanager
        async def interceptor(call: Call) -> AsyncIterator[None]:
            self.calls.append(call)
            self.events.append(f"> {name}")
            if error:
                raise error
            try:
                yield
            finally:
                self.events.append(f"< {name}")

        return interceptor

    def read(self, raw: bytes) -> GetHealthRequest:
        self.events.append("read")
        return GetHealthRequest.FromString(raw)


async def wrapped(trace: Trace, interceptors: list[Any], handler: Any, metadata: Any = ()) -> Any:
    class Details:
        method = METHOD
        invocation_metadata = metadata

    async def continuation(details: Any) -> Any:
        return handler

    details: Any = Details()
    return await Chain(interceptors, 1024).intercept_service(continuation, details)


@pytest.mark.asyncio
async def test_outer_interceptors_enclose_inner_ones_and_decoding_comes_last() -> None:
    trace = Trace()

    async def handle(request: Any, context: Any) -> GetHealthRequest:
        trace.events.append("handle")
        return GetHealthRequest()

    handler = grpc.unary_unary_rpc_method_handler(handle, trace.read)
    around = await wrapped(trace, [trace.interceptor("outer"), trace.interceptor("inner")], handler)
    assert await around.unary_unary(b"", FakeContext()) == b""
    assert trace.events == ["> outer", "> inner", "read", "handle", "< inner", "< outer"]


@pytest.mark.asyncio
async def test_a_refusal_leaves_the_request_unread() -> None:
    trace = Trace()

    async def handle(request: Any, context: Any) -> str:
        raise AssertionError("not to be reached")

    handler = grpc.unary_unary_rpc_method_handler(handle, trace.read)
    refusing = [trace.interceptor("outer"), trace.interceptor("inner", MemoryLayerError())]
    around = await wrapped(trace, refusing, handler)
    with pytest.raises(MemoryLayerError):
        await around.unary_unary(b"", FakeContext())
    assert trace.events == ["> outer", "> inner", "< outer"]


@pytest.mark.asyncio
async def test_streams_are_enclosed_as_a_whole() -> None:
    trace = Trace()

    async def echo(requests: Any, context: Any) -> AsyncIterator[Any]:
        async for _ in requests:
            trace.events.append("handle")
            yield GetHealthRequest()

    async def raws() -> AsyncIterator[bytes]:
        yield b""
        yield b""

    handler = grpc.stream_stream_rpc_method_handler(echo, trace.read)
    around = await wrapped(trace, [trace.interceptor("outer")], handler)
    assert [answer async for answer in around.stream_stream(raws(), FakeContext())] == [b"", b""]
    assert trace.events == ["> outer", "read", "handle", "read", "handle", "< outer"]
    assert trace.calls[0].kind == "bidi_stream"


@pytest.mark.asyncio
async def test_the_call_knows_its_text_metadata_and_its_name() -> None:
    trace = Trace()

    async def handle(request: Any, context: Any) -> GetHealthRequest:
        return GetHealthRequest()

    handler = grpc.unary_unary_rpc_method_handler(handle, trace.read)
    metadata = (("x-api-key", "first"), ("x-api-key", "last"), ("trace-bin", b"\x00\xff"))
    around = await wrapped(trace, [trace.interceptor("outer")], handler, metadata)
    await around.unary_unary(b"", FakeContext())
    (call,) = trace.calls
    assert call.metadata == {"x-api-key": "last"}
    assert (call.service, call.name) == ("memory_layer.v1.MemoryService", "GetMessage")


@pytest.mark.asyncio
async def test_a_closed_gate_refuses_before_any_other_question_but_answers_probes(start: Any) -> None:
    channel = await start(serving=False, api_keys=ROOT, global_rate_limit="1/minute")
    for _ in range(3):
        assert await outcome(channel, METHOD, b"\xff") == ("UNAVAILABLE", "NOT_SERVING")
    answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.asyncio
async def test_guessing_keys_is_limited_too(start: Any) -> None:
    channel = await start(api_keys=ROOT, global_rate_limit="2/minute")
    for guess in ("a", "b"):
        refused = await outcome(channel, METHOD, GET, (("x-api-key", guess),))
        assert refused == ("UNAUTHENTICATED", "INVALID_API_KEY")
    assert await outcome(channel, METHOD, GET, KEY) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")


@pytest.mark.asyncio
async def test_bytes_of_strangers_are_not_parsed(start: Any) -> None:
    channel = await start(api_keys=ROOT)
    assert await outcome(channel, METHOD, b"\xff") == ("UNAUTHENTICATED", "INVALID_API_KEY")
    assert await outcome(channel, METHOD, b"\xff", KEY) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST")


@pytest.mark.asyncio
async def test_every_refusal_has_its_reason_and_none_is_unknown(start: Any) -> None:
    channel = await start(max_request_bytes=1024, api_keys=ROOT)
    invalid = GetMessageRequest(message_id="?").SerializeToString()
    assert await outcome(channel, METHOD, invalid, KEY) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert await outcome(channel, METHOD, b"", KEY) == ("INVALID_ARGUMENT", "INVALID_FIELD")
    assert await outcome(channel, METHOD, b"\x0a\x02\xff\xfe", KEY) == ("INVALID_ARGUMENT", "MALFORMED_REQUEST")
    assert await outcome(channel, METHOD, b"x" * 1025, KEY) == ("RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE")
    # Valid, and nobody there yet to answer it.
    assert await outcome(channel, METHOD, GET, KEY) == ("UNAVAILABLE", "NOT_SERVING")
    assert await outcome(channel, HEALTH, b"") == ("UNAVAILABLE", "NOT_SERVING")


@pytest.mark.asyncio
async def test_an_unknown_method_is_unimplemented(start: Any) -> None:
    channel = await start(api_keys=ROOT)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary("/memory_layer.v1.MemoryService/Nothing")(b"", metadata=KEY, timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.asyncio
async def test_decoding_refuses_what_is_too_large_before_it_reads() -> None:
    read = decode.reader(GetMessageRequest.FromString, len(GET))
    assert await read(GET) == GetMessageRequest.FromString(GET)
    with pytest.raises(BodyTooLarge):
        await read(GET + b"\xff")


@pytest.mark.asyncio
@pytest.mark.parametrize("raw", [b"\xff", b"\x0a\x05abc", b"\x0a\x02\xff\xfe", b"\x0a\x80", b"\x0b" * 200])
async def test_malformed_bytes_are_named_so(raw: bytes) -> None:
    with pytest.raises(MalformedRequest):
        await decode.reader(GetMessageRequest.FromString, 1024)(raw)


@pytest.mark.asyncio
@pytest.mark.parametrize("depth", [*range(1, 40), 100, 1000, 10_000])
async def test_objects_of_any_depth_are_read_or_refused(depth: int) -> None:
    """Built as bytes: no library writes what it would not read."""
    value = b"\x20\x01"  # Value{bool_value: true}
    for _ in range(depth):
        entry = b"\x0a\x01k\x12" + _length(value) + value  # fields{key: "k", value}
        struct = b"\x0a" + _length(entry) + entry
        value = b"\x2a" + _length(struct) + struct  # Value{struct_value}
    raw = IngestMessageRequest(tenant_id="t", conversation_id="c", role="user", content="x").SerializeToString()
    raw += b"\x2a" + _length(struct) + struct  # metadata
    read = decode.reader(IngestMessageRequest.FromString, len(raw))
    if depth <= 16:
        assert (await read(raw)).HasField("metadata")
    else:
        with pytest.raises((InvalidInput, MalformedRequest)):
            await read(raw)


def _length(value: bytes) -> bytes:
    size, result = len(value), b""
    while size > 127:
        result, size = result + bytes([size & 127 | 128]), size >> 7
    return result + bytes([size])

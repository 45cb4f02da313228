"""Calls of both clients against a server that fails as it is told."""

from __future__ import annotations

import asyncio
import base64
import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import grpc
import pytest

from memory_grpc.client import (
    AsyncMemoryClient,
    Conflict,
    DeadlineExceeded,
    InvalidArgument,
    MemoryClient,
    MemoryServiceError,
    NotFound,
    ResourceExhausted,
    Retry,
    Unauthenticated,
    Unavailable,
    Violation,
    channel,
    types,
)
from memory_grpc.rpcs import METHODS
from memory_layer.v1 import key_service_pb2, listing_pb2, message_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import transfer_service_pb2 as transfer
from tests.conftest import free_port
from tests.unit.client.flaky import Fault, Flaky, flaky_server

DOWN = Fault(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
BUSY = Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_after="0")
TLS_WITHOUT_TLS = {"address": "memory:50051", "credentials": grpc.ssl_channel_credentials()}
QUICK = Retry(attempts=3, first_pause_seconds=0.001, longest_pause_seconds=0.002)


@pytest.fixture
def flaky() -> Iterator[Flaky]:
    with flaky_server() as server:
        yield server


class Both:
    """The same calls through either client: answers as values, iterators as lists."""

    def __init__(self, kind: str, address: str, **options: Any) -> None:
        self.kind, self.address = kind, address
        self.options = {"tenant_id": "acme", "retry": QUICK} | options

    def __call__(self, method: str, *args: Any, **kwargs: Any) -> Any:
        if self.kind == "sync":
            with MemoryClient(self.address, **self.options) as client:
                found = getattr(client, method)(*args, **kwargs)
                return list(found) if hasattr(found, "__iter__") and not isinstance(found, tuple) else found
        return asyncio.run(self._later(method, args, kwargs))

    async def _later(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        async with AsyncMemoryClient(self.address, **self.options) as client:
            found = getattr(client, method)(*map(_feed, args), **kwargs)
            return [one async for one in found] if hasattr(found, "__aiter__") else await found


def _feed(value: Any) -> Any:
    """A generator as asyncio's client takes it."""

    async def later() -> AsyncIterator[Any]:
        for one in value:
            yield one

    return later() if inspect.isgenerator(value) else value


@pytest.fixture(params=["sync", "async"])
def both(request: pytest.FixtureRequest, flaky: Flaky) -> Both:
    return Both(request.param, flaky.address)


def stored(request: Any) -> message_pb2.Message:
    return message_pb2.Message(id="m", tenant_id=request.tenant_id, content=request.content)


def test_every_rpc_is_a_method_of_both_clients():
    public = {
        kind: {name for name, value in inspect.getmembers(kind, callable) if not name.startswith("_")}
        for kind in (MemoryClient, AsyncMemoryClient)
    }
    assert public[MemoryClient] == public[AsyncMemoryClient]
    assert len(public[MemoryClient]) == len(METHODS) + len({"remember", "recall", "context", "close"})
    for name in public[MemoryClient]:
        ours, theirs = (
            inspect.signature(getattr(MemoryClient, name)),
            inspect.signature(getattr(AsyncMemoryClient, name)),
        )
        assert list(ours.parameters) == list(theirs.parameters), name


def test_a_retry_sends_the_same_request_id_and_the_key(both: Both, flaky: Flaky):
    flaky.answer, flaky.faults = stored, [DOWN, BUSY]
    both.options["api_key"] = "mk_secret"
    found = both("remember", "hello", conversation_id="c", user_id="u")
    assert (found.id, found.tenant_id, found.content) == ("m", "acme", "hello")
    assert len({one.request_id for one in flaky.requests}) == 1
    assert len(flaky.requests) == 3
    assert flaky.requests[0].request_id
    assert {one["x-api-key"] for one in flaky.metadata} == {"mk_secret"}
    assert all(one["user-agent"].startswith("memory-grpc/") for one in flaky.metadata)


def test_each_call_has_a_request_id_of_its_own(both: Both, flaky: Flaky):
    flaky.answer = stored
    for _ in range(2):
        both("remember", "hello", conversation_id="c")
    assert len({one.request_id for one in flaky.requests}) == 2


def test_patience_ends(both: Both, flaky: Flaky):
    flaky.faults = [DOWN] * 9
    with pytest.raises(Unavailable) as raised:
        both("recall", "what?")
    assert raised.value.reason == "DATABASE_UNAVAILABLE"
    assert len(flaky.requests) == 3


def test_a_call_ends_at_its_deadline(both: Both, flaky: Flaky):
    over = threading.Event()
    flaky.answer = lambda _: over.wait(60) and None
    try:
        with pytest.raises(DeadlineExceeded) as raised:
            both("recall", "what?", timeout=0.2)
    finally:
        over.set()
    assert not raised.value.is_from_service


def test_what_does_harm_is_not_repeated(both: Both, flaky: Flaky):
    flaky.answer, flaky.faults = lambda _: key_service_pb2.CreateApiKeyResponse(key="k"), [BUSY, DOWN]
    with pytest.raises(Unavailable):
        both("create_api_key", label="l", role="reader", tenant_ids=["acme"])
    assert len(flaky.requests) == 2  # after the one that was refused for want of room


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(grpc.StatusCode.NOT_FOUND, "NOT_FOUND"), NotFound),
        (Fault(grpc.StatusCode.ABORTED, "ETAG_MISMATCH"), Conflict),
        (Fault(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED"), Conflict),
        (Fault(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY"), Unauthenticated),
        (Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "ANSWER_TOO_LARGE"), ResourceExhausted),
        (Fault(grpc.StatusCode.DATA_LOSS), MemoryServiceError),
    ],
)
def test_errors_are_told_apart(both: Both, flaky: Flaky, fault: Fault, kind: type[MemoryServiceError]):
    flaky.faults = [fault]
    with pytest.raises(MemoryServiceError) as raised:
        both("get_message", message_id="m")
    assert type(raised.value) is kind
    assert (raised.value.code, raised.value.reason) == (fault.code.name, fault.reason)
    assert raised.value.is_from_service is bool(fault.reason)
    assert raised.value.__context__ is None  # grpc's own error says nothing more
    assert len(flaky.requests) == 1


def test_an_error_names_the_fields_that_are_wrong(both: Both, flaky: Flaky):
    flaky.faults = [Fault(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fields=("query", "top_k"))]
    with pytest.raises(InvalidArgument) as raised:
        both("recall", "", top_k=0)
    assert raised.value.violations == (Violation("query", "is wrong"), Violation("top_k", "is wrong"))
    assert str(raised.value) == "INVALID_ARGUMENT: no (query: is wrong; top_k: is wrong)"


def test_a_wait_beyond_the_deadline_is_the_callers_to_decide(both: Both, flaky: Flaky):
    flaky.faults = [Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_after="60")]
    with pytest.raises(ResourceExhausted) as raised:
        both("recall", "what?")
    assert raised.value.retry_after == 60.0


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_nobody_answers(kind: str):
    with pytest.raises(Unavailable) as raised:
        Both(kind, f"127.0.0.1:{free_port()}")("get_health")
    assert not raised.value.is_from_service


def test_a_list_is_fetched_page_by_page(both: Both, flaky: Flaky):
    pages = {"": "1", "1": "2", "2": ""}
    flaky.faults = [DOWN]
    flaky.answer = lambda request: listing_pb2.ListMessagesResponse(
        messages=[message_pb2.Message(id=f"{request.page_token}{i}") for i in "ab"],
        next_page_token=pages[request.page_token],
    )
    found = both("list_messages", user_id="u", page_size=2)
    assert [one.id for one in found] == ["a", "b", "1a", "1b", "2a", "2b"]
    assert {(one.tenant_id, one.user_id, one.page_size) for one in flaky.requests} == {("acme", "u", 2)}


def test_a_filter_that_is_a_generator_is_sent_with_every_page_and_every_time(both: Both, flaky: Flaky):
    flaky.answer = lambda request: listing_pb2.ListMessagesResponse(next_page_token="" if request.page_token else "1")
    assert list(both("list_messages", metadata_equals=(f"k={n}" for n in range(2)))) == []
    assert [list(one.metadata_equals) for one in flaky.requests] == [["k=0", "k=1"]] * 2


def exported(request: transfer.ExportRequest) -> Iterator[transfer.TransferRecord]:
    yield transfer.TransferRecord(header=transfer.TransferHeader(version=1))
    for number in range(int(request.after_id or "0"), 5):
        yield transfer.TransferRecord(message=transfer.TransferMessage(id=str(number + 1)))


def test_an_export_goes_on_where_it_broke(both: Both, flaky: Flaky):
    flaky.answer = exported
    flaky.faults = [Fault(grpc.StatusCode.UNAVAILABLE, after=after) for after in (3, 0, 1, 2)]
    found = both("export")
    assert [one.message and one.message.id for one in found] == [None, "1", "2", "3", "4", "5"]
    assert [one.after_id for one in flaky.requests] == ["", "2", "2", "2", "3"]
    assert flaky.deadlines[0] is None or flaky.deadlines[0] > 1e6


def test_an_export_that_comes_no_further_ends(both: Both, flaky: Flaky):
    flaky.answer, flaky.faults = exported, [Fault(grpc.StatusCode.UNAVAILABLE)] * 9
    with pytest.raises(Unavailable):
        both("export")
    assert len(flaky.requests) == 3


def said(*texts: str) -> Iterator[types.IngestMessageRequest]:
    for text in texts:
        yield types.IngestMessageRequest(conversation_id="c", role="user", content=text)


def acknowledged(request: Any) -> pb.StreamIngestResponse:
    return pb.StreamIngestResponse(sequence=0, message_id=request.message.content)


def test_a_stream_sends_again_what_was_not_acknowledged(both: Both, flaky: Flaky):
    flaky.answer = acknowledged
    flaky.faults = [Fault(grpc.StatusCode.UNAVAILABLE, after=after) for after in (2, 0, 1)]
    found = both("stream_ingest", said(*"abcde"))
    assert [(one.sequence, one.message_id) for one in found] == list(enumerate("abcde"))
    by_text: dict[str, set[str]] = {}
    for one in flaky.requests:
        by_text.setdefault(one.message.content, set()).add(one.message.request_id)
    assert {text: len(ids) for text, ids in by_text.items()} == dict.fromkeys("abcde", 1)
    assert len(flaky.requests) > 5


def test_a_stream_that_is_refused_ends(both: Both, flaky: Flaky):
    flaky.answer = acknowledged
    # A message is refused, however often it is sent.
    flaky.faults = [Fault(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", after=after) for after in (1, *[0] * 9)]
    with pytest.raises(InvalidArgument):
        both("stream_ingest", said(*"abcdefgh"))


def test_what_the_source_of_a_stream_raises_reaches_the_caller(both: Both, flaky: Flaky):
    flaky.answer = acknowledged

    def source() -> Iterator[types.IngestMessageRequest]:
        yield from said("a")
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        both("stream_ingest", source())


def test_an_argument_that_does_not_fit_is_refused_before_a_call(both: Both, flaky: Flaky):
    with pytest.raises(TypeError, match=r"^top_k: "):
        both("recall", "what?", top_k="many")
    assert flaky.requests == []


@pytest.mark.parametrize(
    "options", [{"api_key": "a\nb"}, {"api_key": ""}, {"timeout": 0}, {"address": "ftp://a"}, TLS_WITHOUT_TLS]
)
def test_a_client_that_cannot_work_is_not_made(options: dict[str, Any]):
    for kind in (MemoryClient, AsyncMemoryClient):
        with pytest.raises(ValueError):
            kind(**options)


class Asked:
    """A lock that tells how often it was asked for."""

    def __init__(self) -> None:
        self.times = threading.Semaphore(0)
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self.times.release()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def test_threads_that_call_first_share_one_channel(flaky: Flaky, monkeypatch: pytest.MonkeyPatch):
    flaky.answer = lambda _: pb.SearchMemoriesResponse()
    opened, asked, goes = [], Asked(), threading.Event()

    def opening(*arguments: Any) -> Any:
        assert goes.wait(60)
        opened.append(open_channel(*arguments))
        return opened[-1]

    open_channel = channel.open_channel
    monkeypatch.setattr(channel, "open_channel", opening)
    with MemoryClient(flaky.address, tenant_id="acme") as client:
        client._opening = cast(Any, asked)
        threads = [threading.Thread(target=client.recall, args=("what?",)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in threads:
            assert asked.times.acquire(timeout=60), "both come before the channel is there"
        goes.set()
        for thread in threads:
            thread.join(60)
    assert len(opened) == 1
    assert len(flaky.requests) == 2


def test_a_client_does_not_show_its_key():
    assert "secret" not in repr(MemoryClient(api_key="secret"))


@pytest.mark.parametrize(
    "header", ['{"alg":"RS256"}', '{ "alg": "RS256"}', '{\n"alg":""}', '{\r\n "alg":""}', '{\t"alg":""}']
)
def test_a_token_goes_where_tokens_go(header: str) -> None:
    token = base64.urlsafe_b64encode(header.encode()).decode().rstrip("=") + ".x.y"
    assert channel.key_metadata(token) == (("authorization", f"Bearer {token}"),)
    for key in (token.removesuffix(".y"), f"mk_{token}", "eyJ", "a.b.c"):
        assert channel.key_metadata(key) == (("x-api-key", key),)

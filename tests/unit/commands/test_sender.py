"""Patience: what is tried again, what is halved, what is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.records import Fault, Mark, Record
from memory_grpc.commands.importing.sender import Counts, Sender
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.message_pb2 import Message


def failure(
    code: grpc.StatusCode, reason: str = "", fields: Sequence[tuple[str, str]] = (), **trailers: str
) -> grpc.aio.AioRpcError:
    """An error as the service sends it."""
    status = status_pb2.Status(code=code.value[0], message="no")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason))
    bad = error_details_pb2.BadRequest()
    for field, description in fields:
        bad.field_violations.add(field=field, description=description)
    status.details.add().Pack(bad)
    pairs = [(name.replace("_", "-"), value) for name, value in trailers.items()]
    metadata = grpc.aio.Metadata(("grpc-status-details-bin", status.SerializeToString()), *pairs)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, details="no")


class Service:
    """A stub that answers by a function of the contents it is sent; what it returns is stored or raised."""

    def __init__(self, answer: Callable[[list[str]], Exception | None]) -> None:
        self.calls: list[list[str]] = []
        self.stored: list[str] = []
        self._answer = answer

    async def BatchIngestMessages(self, request: pb.BatchIngestMessagesRequest, **_: Any) -> Any:
        contents = [message.content for message in request.messages]
        self.calls.append(contents)
        error = self._answer(contents)
        if error is not None:
            raise error
        self.stored += contents
        response = pb.BatchIngestMessagesResponse()
        for index, content in enumerate(contents):
            response.messages.append(Message(id=content, tenant_id="t"))
            if content.startswith("old"):
                response.repeated_indexes.append(index)
        return response


class Refusals(list[tuple[str, str]]):
    """Which records were refused, and for which field."""

    def add(self, record: Record, faults: Sequence[Fault]) -> None:
        self.append((record.label, faults[0].field))


def sender(service: Service, refusals: Refusals | None = None, *, skip: bool = False, patience: float = 60) -> Sender:
    refused = refusals if refusals is not None else Refusals()
    return Sender(service, Target("here:1", 1.0), patience, skip, Counts(), refused=refused.add, note=lambda _: None)


def records(*contents: str) -> list[Record]:
    return [
        Record(content, Mark(n), Mark(n + 1), pb.IngestMessageRequest(tenant_id="t", content=content))
        for n, content in enumerate(contents)
    ]


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept, in no time at all: the clock is moved instead."""
    slept: list[float] = []
    clock = [0.0]

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr("memory_grpc.commands.importing.sender.asyncio.sleep", sleep)
    monkeypatch.setattr("memory_grpc.commands.importing.sender.time.monotonic", lambda: clock[0])
    return slept


def failing(*errors: grpc.aio.AioRpcError) -> Callable[[list[str]], Exception | None]:
    left = list(errors)
    return lambda _: left.pop(0) if left else None


def test_counts_what_the_service_had_before() -> None:
    it = sender(Service(lambda _: None))
    assert asyncio.run(it.send(records("a", "old b", "c")))
    assert (it.counts.stored, it.counts.repeated) == (2, 1)


def test_waits_as_long_as_the_rate_limit_asks_and_no_patience_is_spent(naps: list[float]) -> None:
    limited = failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_after="40")
    service = Service(failing(limited, limited, limited))
    assert asyncio.run(sender(service, patience=1).send(records("a")))
    assert naps == [40, 40, 40]
    assert len(service.calls) == 4


def test_passing_failures_are_tried_again_with_backoff(naps: list[float]) -> None:
    service = Service(failing(*[failure(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")] * 4))
    assert asyncio.run(sender(service).send(records("a", "b")))
    assert service.stored == ["a", "b"]
    assert len(naps) == 4
    assert naps[3] > naps[0]


def test_patience_ends() -> None:
    service = Service(lambda _: failure(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE"))
    with pytest.raises(CommandError, match="UNAVAILABLE: no"):
        asyncio.run(sender(service, patience=30).send(records("a")))
    assert 3 < len(service.calls) < 100


@pytest.mark.parametrize(
    "error",
    [
        failure(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED"),
        failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "REQUEST_TOO_LARGE"),
    ],
)
def test_what_is_too_much_for_one_call_is_halved(error: grpc.aio.AioRpcError) -> None:
    service = Service(lambda contents: error if len(contents) > 2 else None)
    assert asyncio.run(sender(service).send(records("a", "b", "c", "d", "e")))
    assert service.stored == ["a", "b", "c", "d", "e"]


def invalid(contents: list[str]) -> Exception | None:
    bad = [n for n, content in enumerate(contents) if content.startswith("bad")]
    fields = [(f"messages[{n}].created_at", "is late") for n in bad]
    return failure(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fields) if bad else None


def test_all_before_an_invalid_message_is_stored() -> None:
    service, refusals = Service(invalid), Refusals()
    assert not asyncio.run(sender(service, refusals).send(records("a", "bad b", "c", "bad d")))
    assert service.stored == ["a"]
    assert refusals == [("bad b", "created_at")]


def test_invalid_messages_can_be_skipped() -> None:
    service, refusals = Service(invalid), Refusals()
    assert asyncio.run(sender(service, refusals, skip=True).send(records("a", "bad b", "c", "bad d")))
    assert service.stored == ["a", "c"]
    assert [label for label, _ in refusals] == ["bad b", "bad d"]


def test_a_request_id_used_with_another_body_is_found_among_many() -> None:
    reused = failure(grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    service, refusals = Service(lambda contents: reused if "bad" in contents else None), Refusals()
    assert asyncio.run(sender(service, refusals, skip=True).send(records("a", "b", "bad", "d")))
    assert sorted(service.stored) == ["a", "b", "d"]
    assert refusals == [("bad", "request_id")]


def test_a_message_that_retention_deleted_since_counts_as_repeated() -> None:
    gone = failure(grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    it = sender(Service(lambda contents: gone if "gone" in contents else None))
    assert asyncio.run(it.send(records("a", "gone", "c")))
    assert (it.counts.stored, it.counts.repeated) == (2, 1)


def test_other_errors_end_the_import_at_once(naps: list[float]) -> None:
    service = Service(failing(failure(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")))
    with pytest.raises(CommandError, match="UNAUTHENTICATED"):
        asyncio.run(sender(service).send(records("a", "b")))
    assert naps == []

"""Errors to statuses: one table, nothing missing from it, and no stranger's words."""

from __future__ import annotations

import inspect
import re
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from memory_grpc import errors, resources
from memory_grpc.interceptors import translate as module
from memory_grpc.interceptors.translate import STATUSES, translate
from memory_layer.v1.errors_pb2 import ErrorReason
from tests.unit.interceptors.fakes import FakeContext, fake_call

SECRET = "postgresql://memory:hunter2@db.internal/prod"

# Written down once more, apart from the table: error -> code and reason on the wire.
EXPECTED: dict[type[errors.MemoryLayerError], tuple[str, str]] = {
    errors.InvalidInput: ("INVALID_ARGUMENT", "INVALID_FIELD"),
    errors.InvalidFilter: ("INVALID_ARGUMENT", "INVALID_FIELD"),
    errors.MalformedRequest: ("INVALID_ARGUMENT", "MALFORMED_REQUEST"),
    errors.UnknownMethod: ("UNIMPLEMENTED", "UNKNOWN_METHOD"),
    errors.Unauthenticated: ("UNAUTHENTICATED", "INVALID_API_KEY"),
    errors.PermissionDenied: ("PERMISSION_DENIED", "KEY_NOT_ALLOWED"),
    errors.TenantNotAllowed: ("PERMISSION_DENIED", "TENANT_NOT_ALLOWED"),
    errors.NotFound: ("NOT_FOUND", "NOT_FOUND"),
    errors.RequestIdReused: ("ALREADY_EXISTS", "REQUEST_ID_REUSED"),
    errors.EtagMismatch: ("ABORTED", "ETAG_MISMATCH"),
    errors.WrongState: ("FAILED_PRECONDITION", "WRONG_STATE"),
    errors.RateLimited: ("RESOURCE_EXHAUSTED", "RATE_LIMITED"),
    errors.TenantRateLimited: ("RESOURCE_EXHAUSTED", "TENANT_RATE_LIMITED"),
    errors.KeyRateLimited: ("RESOURCE_EXHAUSTED", "KEY_RATE_LIMITED"),
    errors.QuotaExceeded: ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
    errors.Overloaded: ("RESOURCE_EXHAUSTED", "OVERLOADED"),
    errors.QueueFull: ("RESOURCE_EXHAUSTED", "QUEUE_FULL"),
    errors.DatabaseQueueFull: ("RESOURCE_EXHAUSTED", "DATABASE_QUEUE_FULL"),
    errors.BodyTooLarge: ("RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE"),
    errors.AnswerTooLarge: ("RESOURCE_EXHAUSTED", "ANSWER_TOO_LARGE"),
    errors.DeadlineExceeded: ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
    errors.StoreUnavailable: ("UNAVAILABLE", "DATABASE_UNAVAILABLE"),
    errors.CopyUnavailable: ("UNAVAILABLE", "DATABASE_UNAVAILABLE"),
    errors.StoreReadOnly: ("UNAVAILABLE", "DATABASE_UNAVAILABLE"),
    errors.EmbeddingUnavailable: ("UNAVAILABLE", "EMBEDDING_UNAVAILABLE"),
    errors.ProviderDown: ("UNAVAILABLE", "EMBEDDING_UNAVAILABLE"),
    errors.ModelNotHeld: ("UNAVAILABLE", "EMBEDDING_UNAVAILABLE"),
    errors.IdentityUnavailable: ("UNAVAILABLE", "IDENTITY_UNAVAILABLE"),
    errors.NotServing: ("UNAVAILABLE", "NOT_SERVING"),
    errors.Draining: ("UNAVAILABLE", "NOT_SERVING"),
}
# Who gets one of these is told when to try again.
COME_BACK = [
    errors.RateLimited,
    errors.TenantRateLimited,
    errors.KeyRateLimited,
    errors.Overloaded,
    errors.QueueFull,
    errors.DatabaseQueueFull,
]
# Only their subclasses are raised, or they end the process before anything is on the wire.
ABSTRACT = {errors.MemoryLayerError, errors.Exhausted, errors.Unavailable, errors.StartupError}
# Told by one part of the service to another. One that gets this far is a fault.
INTERNAL = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.Internal)}


def make(cls: type[errors.MemoryLayerError]) -> errors.MemoryLayerError:
    return cls.of("role", "must be one of user") if issubclass(cls, errors.InvalidInput) else cls()


async def translated(error: BaseException) -> tuple[FakeContext, status_pb2.Status]:
    """What the wire gets for an error: the context, and the rich status in its trailers."""
    call = fake_call()
    context: Any = call.context
    with pytest.raises(grpc.aio.AbortError):
        async with translate(call):
            raise error
    return context, status_pb2.Status.FromString(context.trailers["grpc-status-details-bin"])


def details(status: status_pb2.Status, cls: type[Any]) -> list[Any]:
    found = []
    for packed in status.details:
        if packed.Is(cls.DESCRIPTOR):
            found.append(cls())
            packed.Unpack(found[-1])
    return found


class Recorder:
    """Takes the place of the log."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def error(self, event: str, **fields: Any) -> None:
        self.events.append((event, fields))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    monkeypatch.setattr(module, "log", recorder)
    return recorder


def test_every_concrete_error_has_its_place_in_the_table() -> None:
    concrete = {
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if issubclass(cls, errors.MemoryLayerError) and cls not in ABSTRACT | INTERNAL
    }
    assert concrete == set(EXPECTED)
    for cls in concrete:
        assert any(base in STATUSES for base in cls.__mro__), cls.__name__


@pytest.mark.asyncio
@pytest.mark.parametrize("cls", EXPECTED, ids=lambda cls: cls.__name__)
async def test_an_error_becomes_its_status(cls: type[errors.MemoryLayerError], log: Recorder) -> None:
    error = make(cls)
    context, status = await translated(error)
    code, reason = EXPECTED[cls]
    assert context.aborted == (grpc.StatusCode[code], str(error))
    assert (status.code, status.message) == (grpc.StatusCode[code].value[0], str(error))
    (info,) = details(status, error_details_pb2.ErrorInfo)
    assert (info.reason, info.domain) == (reason, "memory_layer.v1")
    assert context.trailers["x-request-id"] == "r-1"
    assert log.events == []


@pytest.mark.parametrize("cls", [*EXPECTED, *sorted(INTERNAL, key=repr)], ids=lambda cls: cls.__name__)
def test_the_drawn_tree_names_the_error_and_the_class_its_message(cls: type[errors.MemoryLayerError]) -> None:
    assert re.search(rf"── {cls.__name__} ", errors.__doc__ or "")
    assert cls.__doc__
    assert cls.__doc__.endswith(".")


@pytest.mark.asyncio
async def test_invalid_input_lists_every_violation() -> None:
    violations = [errors.FieldViolation("messages[3].role", "is wrong"), errors.FieldViolation("query", "is too")]
    _, status = await translated(errors.InvalidInput(violations))
    (bad,) = details(status, error_details_pb2.BadRequest)
    assert [(v.field, v.description) for v in bad.field_violations] == [
        ("messages[3].role", "is wrong"),
        ("query", "is too"),
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("length", "told"),
    [(1, 20), (100, 20), (1000, 4), (10_000, 0)],
    ids=["short", "usual", "long", "longer than all there is room for"],
)
async def test_violations_never_outgrow_the_trailers(length: int, told: int) -> None:
    """Past what a peer accepts of them the connection breaks, which Envoy shares among its clients."""
    violations = [errors.FieldViolation("x" * length, f"is wrong {number}") for number in range(1000)]
    context, status = await translated(errors.InvalidInput(violations, "Wrong."))
    assert sum(len(bad.field_violations) for bad in details(status, error_details_pb2.BadRequest)) == told
    assert sum(len(str(key)) + len(value) * 4 / 3 for key, value in context.trailers.items()) < 8192


@pytest.mark.asyncio
async def test_invalid_input_without_a_field_has_no_bad_request() -> None:
    _, status = await translated(errors.InvalidInput([], "The request holds a value that cannot be stored."))
    assert details(status, error_details_pb2.BadRequest) == []
    assert status.message == "The request holds a value that cannot be stored."


@pytest.mark.asyncio
@pytest.mark.parametrize("cls", COME_BACK)
@pytest.mark.parametrize(("seconds", "said"), [(30.0, 30), (0.2, 1), (1.01, 2), (0.0, 1), (-5.0, 1), (60.0, 60)])
async def test_who_may_come_back_hears_when(cls: type[errors.Exhausted], seconds: float, said: int) -> None:
    context, status = await translated(cls(retry_after_seconds=seconds))
    assert context.trailers["retry-after"] == str(said)
    (info,) = details(status, error_details_pb2.RetryInfo)
    assert (info.retry_delay.seconds, info.retry_delay.nanos) == (said, 0)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "cls",
    [c for c in EXPECTED if c not in COME_BACK],
    ids=lambda cls: cls.__name__,
)
async def test_nobody_else_does(cls: type[errors.MemoryLayerError]) -> None:
    context, status = await translated(make(cls))
    assert "retry-after" not in context.trailers
    assert details(status, error_details_pb2.RetryInfo) == []


class Strange(Exception):
    """Not of this service."""


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "error",
    [RuntimeError(SECRET), KeyError(SECRET), AssertionError(SECRET), Strange(SECRET), OSError(5, SECRET)],
    ids=lambda error: type(error).__name__,
)
async def test_a_stranger_s_words_never_get_out(error: Exception, log: Recorder) -> None:
    error.__cause__ = ValueError(SECRET)
    error.add_note(SECRET)
    context, status = await translated(error)
    assert context.aborted is not None
    assert context.aborted[0] is grpc.StatusCode.INTERNAL
    (info,) = details(status, error_details_pb2.ErrorInfo)
    assert info.reason == "INTERNAL"
    everything = repr((context.aborted, context.trailers, status, log.events))
    assert "hunter2" not in everything
    assert "db.internal" not in everything


@pytest.mark.asyncio
async def test_the_log_says_what_kind_of_error_and_where(log: Recorder) -> None:
    await translated(Strange(SECRET))
    ((event, fields),) = log.events
    assert (event, fields["error"]) == ("internal_error", "Strange")
    assert any(frame.startswith("test_translate.py:") for frame in fields["at"])


@pytest.mark.asyncio
async def test_an_unlisted_error_of_the_service_is_internal_too(log: Recorder) -> None:
    class Unlisted(errors.MemoryLayerError):
        """Something new."""

    context, _ = await translated(Unlisted())
    assert context.aborted is not None
    assert context.aborted[0] is grpc.StatusCode.INTERNAL


@pytest.mark.asyncio
@pytest.mark.parametrize("cls", sorted(INTERNAL, key=repr), ids=lambda cls: cls.__name__)
async def test_what_never_leaves_the_operations_is_a_fault_if_it_does(
    cls: type[errors.MemoryLayerError], log: Recorder
) -> None:
    context, status = await translated(cls("said inside"))
    assert context.aborted is not None
    assert context.aborted[0] is grpc.StatusCode.INTERNAL
    assert "said inside" not in repr((context.aborted, status))
    assert [fields["error"] for _, fields in log.events] == [cls.__name__]


@pytest.mark.asyncio
async def test_the_nearest_class_counts() -> None:
    class Slower(errors.RateLimited):
        """Slower."""

    _, status = await translated(Slower())
    assert details(status, error_details_pb2.ErrorInfo)[0].reason == "RATE_LIMITED"


@pytest.mark.asyncio
async def test_what_was_aborted_already_passes() -> None:
    call = fake_call()
    with pytest.raises(grpc.aio.AbortError):
        async with translate(call):
            await call.context.abort(grpc.StatusCode.DATA_LOSS, "said before")
    context: Any = call.context
    assert context.aborted == (grpc.StatusCode.DATA_LOSS, "said before")


@pytest.mark.asyncio
async def test_what_works_is_left_alone() -> None:
    call = fake_call()
    async with translate(call):
        pass
    context: Any = call.context
    assert context.aborted is None


def test_every_reason_of_the_contract_can_happen() -> None:
    sent = {reason for _, reason in STATUSES.values()} | {ErrorReason.ERROR_REASON_INTERNAL}
    # UNSPECIFIED is never sent; UNKNOWN_METHOD is grpc's own answer, before any error of ours.
    elsewhere = {ErrorReason.ERROR_REASON_UNSPECIFIED, ErrorReason.ERROR_REASON_UNKNOWN_METHOD}
    assert sent | elsewhere == set(ErrorReason.values())


def test_the_contract_s_comments_name_the_codes_that_are_sent() -> None:
    proto = (resources.ROOT / "proto/memory_layer/v1/errors.proto").read_text()
    said = {
        reason: code
        for code, reason in re.findall(r"^  // ([A-Z_]+), \d+\b.*\n(?:  //.*\n)*  ERROR_REASON_(\w+) =", proto, re.M)
    }
    sent = {reason: code for code, reason in EXPECTED.values()}
    assert said == sent | {"UNKNOWN_METHOD": "UNIMPLEMENTED", "INTERNAL": "INTERNAL"}

"""Turns the service's errors into gRPC statuses, by one table; whatever else is raised becomes INTERNAL, wordless."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from math import ceil

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from memory_grpc import errors
from memory_grpc.encode import encode
from memory_grpc.interceptors.call import Call
from memory_grpc.observability import metrics
from memory_layer.v1.errors_pb2 import ErrorReason

log = structlog.get_logger(__name__)

DOMAIN = "memory_layer.v1"

# As base64 these and the message are less than the 8 KiB that gRPC clients accept for sure.
_MOST_VIOLATIONS = 20
_MOST_BYTES = 4096

Trailers = tuple[tuple[str, str | bytes], ...]

# Domain error -> status code and reason. The most particular class that an error is an instance of counts.
STATUSES: dict[type[errors.MemoryLayerError], tuple[grpc.StatusCode, ErrorReason.ValueType]] = {
    errors.InvalidInput: (grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_INVALID_FIELD),
    errors.MalformedRequest: (grpc.StatusCode.INVALID_ARGUMENT, ErrorReason.ERROR_REASON_MALFORMED_REQUEST),
    errors.UnknownMethod: (grpc.StatusCode.UNIMPLEMENTED, ErrorReason.ERROR_REASON_UNKNOWN_METHOD),
    errors.Unauthenticated: (grpc.StatusCode.UNAUTHENTICATED, ErrorReason.ERROR_REASON_INVALID_API_KEY),
    errors.PermissionDenied: (grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_KEY_NOT_ALLOWED),
    errors.TenantNotAllowed: (grpc.StatusCode.PERMISSION_DENIED, ErrorReason.ERROR_REASON_TENANT_NOT_ALLOWED),
    errors.NotFound: (grpc.StatusCode.NOT_FOUND, ErrorReason.ERROR_REASON_NOT_FOUND),
    errors.RequestIdReused: (grpc.StatusCode.ALREADY_EXISTS, ErrorReason.ERROR_REASON_REQUEST_ID_REUSED),
    errors.EtagMismatch: (grpc.StatusCode.ABORTED, ErrorReason.ERROR_REASON_ETAG_MISMATCH),
    errors.WrongState: (grpc.StatusCode.FAILED_PRECONDITION, ErrorReason.ERROR_REASON_WRONG_STATE),
    errors.RateLimited: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_RATE_LIMITED),
    errors.TenantRateLimited: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_TENANT_RATE_LIMITED),
    errors.KeyRateLimited: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_KEY_RATE_LIMITED),
    errors.QuotaExceeded: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_QUOTA_EXCEEDED),
    errors.Overloaded: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_OVERLOADED),
    errors.QueueFull: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_QUEUE_FULL),
    errors.DatabaseQueueFull: (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        ErrorReason.ERROR_REASON_DATABASE_QUEUE_FULL,
    ),
    errors.BodyTooLarge: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_REQUEST_TOO_LARGE),
    errors.AnswerTooLarge: (grpc.StatusCode.RESOURCE_EXHAUSTED, ErrorReason.ERROR_REASON_ANSWER_TOO_LARGE),
    errors.DeadlineExceeded: (grpc.StatusCode.DEADLINE_EXCEEDED, ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED),
    errors.StoreUnavailable: (grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_DATABASE_UNAVAILABLE),
    errors.EmbeddingUnavailable: (grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_EMBEDDING_UNAVAILABLE),
    errors.IdentityUnavailable: (grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_IDENTITY_UNAVAILABLE),
    errors.NotServing: (grpc.StatusCode.UNAVAILABLE, ErrorReason.ERROR_REASON_NOT_SERVING),
}
_INTERNAL = (grpc.StatusCode.INTERNAL, ErrorReason.ERROR_REASON_INTERNAL)


@asynccontextmanager
async def translate(call: Call) -> AsyncIterator[None]:
    """The interceptor: errors leave it as statuses with ``google.rpc`` details."""
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as error:
        if isinstance(error, errors.QuotaExceeded):
            # Here, where the call ends: an old figure may refuse it and a new one let it in, and a stream tries some
            # messages again to find the one that is refused.
            metrics.CALLS_LIMITED.labels("quota").inc()
        if isinstance(error, errors.MemoryLayerError) and not isinstance(error, errors.Internal):
            await _abort(call, error, str(error))
            return
        # The text of a stranger's exception can hold a DSN or a row's content: the log gets where, not what.
        frames = [f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
        log.error("internal_error", error=type(error).__name__, at=frames[-8:])
        await _abort(call, error, "Internal error; see the server's log under this request id.")


async def _abort(call: Call, error: Exception, message: str) -> None:
    code, trailers = status_of(error, message)
    await call.context.abort(code, message, (("x-request-id", call.request_id), *call.trailers, *trailers))


def code_of(error: BaseException) -> str:
    """The name of the code that an error is told with, as the table has it."""
    if isinstance(error, asyncio.CancelledError):
        return grpc.StatusCode.CANCELLED.name
    return _entry(error)[0].name


def _entry(error: BaseException) -> tuple[grpc.StatusCode, ErrorReason.ValueType]:
    return next((STATUSES[cls] for cls in type(error).__mro__ if cls in STATUSES), _INTERNAL)


def status_of(error: Exception, message: str) -> tuple[grpc.StatusCode, Trailers]:
    """The code of an error that is told in these words, and the trailers that go with it: ``google.rpc`` details, and
    what Envoy makes headers of."""
    code, reason = _entry(error)
    status = status_pb2.Status(code=code.value[0], message=message)
    status.details.append(
        _packed(
            error_details_pb2.ErrorInfo(reason=ErrorReason.Name(reason).removeprefix("ERROR_REASON_"), domain=DOMAIN)
        )
    )
    trailers: Trailers = ()
    if isinstance(error, errors.InvalidInput) and error.violations:
        bad = error_details_pb2.BadRequest()
        for violation in _told(error.violations):
            bad.field_violations.add(field=violation.field, description=violation.description)
        status.details.append(_packed(bad))
    if isinstance(error, errors.BodyTooLarge):
        # RESOURCE_EXHAUSTED is 429 over REST unless the filter in envoy.yaml is told otherwise.
        trailers = (("x-http-status", "413"),)
    elif isinstance(error, errors.AnswerTooLarge):
        trailers = (("x-http-status", "400"),)  # to come back later would be of no use
    elif isinstance(error, errors.Exhausted) and not isinstance(error, errors.QuotaExceeded):
        seconds = max(1, ceil(error.retry_after_seconds))
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.seconds = seconds
        status.details.append(_packed(retry))
        trailers = (("retry-after", str(seconds)),)
    return code, (*trailers, ("grpc-status-details-bin", encode(status)))


def _told(violations: Sequence[errors.FieldViolation]) -> Iterator[errors.FieldViolation]:
    """The first few violations: trailers that are too large break the connection, and everybody's calls on it."""
    room = _MOST_BYTES
    for violation in violations[:_MOST_VIOLATIONS]:
        room -= len(violation.field.encode()) + len(violation.description.encode())
        if room < 0:
            return
        yield violation


def _packed(
    message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest | error_details_pb2.RetryInfo,
) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message, deterministic=True)
    return packed

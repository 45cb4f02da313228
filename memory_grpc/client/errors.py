"""The errors that a call of the client can raise.

::

    MemoryServiceError
    ├── InvalidArgument      the request breaks the contract: see ``violations``
    ├── Unauthenticated      the key is missing, unknown, revoked or expired
    ├── PermissionDenied     the key does not allow this call
    ├── NotFound             nothing has that id, or the key has no access to it
    ├── Conflict             the message has changed since ``etag``, or ``request_id`` was used with a different body
    ├── FailedPrecondition   the current state does not allow the call
    ├── ResourceExhausted    too many calls, or too much in one: see ``reason`` and ``retry_after``
    ├── DeadlineExceeded     ran out of time
    ├── Unavailable          there is no answer, or the service cannot work at the moment
    ├── Unimplemented        the service does not know the call: it is older than the client
    └── Internal             a fault of the service
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_status import rpc_status


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that breaks the contract, such as ``messages[3].content``, and what is wrong with it."""

    field: str
    description: str


class MemoryServiceError(Exception):
    """A call failed.

    Attributes:
        code: The name of the gRPC code, such as ``NOT_FOUND``.
        reason: Why the call failed, as a name that programs can compare, such as ``RATE_LIMITED``: see errors.proto.
            Empty when the service itself did not answer.
        violations: The fields that break the contract.
        retry_after: How many seconds the service asks to wait; None when it does not say.
        is_from_service: Whether the service itself answered, and not a proxy or nobody.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "UNKNOWN",
        reason: str = "",
        violations: tuple[Violation, ...] = (),
        retry_after: float | None = None,
        is_from_service: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.violations = violations
        self.retry_after = retry_after
        self.is_from_service = is_from_service

    def __str__(self) -> str:
        fields = "; ".join(f"{one.field}: {one.description}" for one in self.violations)
        return f"{self.code}: {self.args[0]}" + (f" ({fields})" if fields else "")


class InvalidArgument(MemoryServiceError):
    """The request breaks the contract."""


class Unauthenticated(MemoryServiceError):
    """The key is missing, unknown, revoked or expired."""


class PermissionDenied(MemoryServiceError):
    """The key does not allow this call."""


class NotFound(MemoryServiceError):
    """Nothing has that id, or the key has no access to it."""


class Conflict(MemoryServiceError):
    """The message has changed since ``etag``, or the ``request_id`` was used with a different body."""


class FailedPrecondition(MemoryServiceError):
    """The current state does not allow the call."""


class ResourceExhausted(MemoryServiceError):
    """Too many calls, or too much in one."""


class DeadlineExceeded(MemoryServiceError):
    """The call ran out of time. A write may have happened all the same."""


class Unavailable(MemoryServiceError):
    """There is no answer, or the service cannot work at the moment."""


class Unimplemented(MemoryServiceError):
    """The service does not know the call."""


class Internal(MemoryServiceError):
    """A fault of the service."""


_BY_CODE: dict[grpc.StatusCode, type[MemoryServiceError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: Conflict,
    grpc.StatusCode.ABORTED: Conflict,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.INTERNAL: Internal,
}


def from_call(error: Any) -> MemoryServiceError:
    """The error of a call, from what grpc raises, of threads or of asyncio."""
    details = _details(error)
    bad = _first(details, error_details_pb2.BadRequest())
    info = _first(details, error_details_pb2.ErrorInfo())
    return _BY_CODE.get(error.code(), MemoryServiceError)(
        error.details() or "no answer",
        code=error.code().name,
        reason="" if info is None else info.reason,
        violations=() if bad is None else tuple(Violation(v.field, v.description) for v in bad.field_violations),
        retry_after=_retry_after(error),
        is_from_service=bool(details),
    )


def _first(details: list[Any], wanted: Any) -> Any:
    return next((wanted for detail in details if detail.Unpack(wanted)), None)


def _retry_after(error: Any) -> float | None:
    for key, value in error.trailing_metadata() or ():
        if key == "retry-after" and str(value).isdigit():
            return float(value)
    return None


def _details(error: Any) -> list[Any]:
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):  # details of another status than the call's, or broken: a proxy's doing
        return []
    return [] if status is None else list(status.details)

"""What a call of the client can raise.

::

    MemoryServiceError
    ├── InvalidArgument      the request breaks the contract: see ``violations``
    ├── Unauthenticated      the key is missing, unknown, revoked or expired
    ├── PermissionDenied     the key does not allow this call
    ├── NotFound             nothing by that id, or not for this key
    ├── Conflict             the message was changed since ``etag``, or ``request_id`` was used with another body
    ├── FailedPrecondition   not in the state that the call needs
    ├── ResourceExhausted    too many calls, or too much in one: see ``reason`` and ``retry_after``
    ├── DeadlineExceeded     ran out of time
    ├── Unavailable          nobody answers, or the service cannot work now
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
    """A field that breaks the contract, as ``messages[3].content``, and what is wrong with it."""

    field: str
    description: str


class MemoryServiceError(Exception):
    """A call failed.

    Attributes:
        code: The name of the gRPC code, as ``NOT_FOUND``.
        reason: Why, as a word that programs can compare, as ``RATE_LIMITED``: see errors.proto. Empty when the service
            itself did not answer.
        violations: The fields that are wrong.
        retry_after: How many seconds the service asks to wait; None when it does not say.
        is_from_service: Whether the service answered; otherwise what stands between did, or nobody.
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
    """Nothing by that id, or not for this key."""


class Conflict(MemoryServiceError):
    """The message was changed since ``etag``, or the ``request_id`` was used before with another body."""


class FailedPrecondition(MemoryServiceError):
    """Not in the state that the call needs."""


class ResourceExhausted(MemoryServiceError):
    """Too many calls, or too much in one."""


class DeadlineExceeded(MemoryServiceError):
    """The call ran out of time. What it was to store may be stored."""


class Unavailable(MemoryServiceError):
    """Nobody answers, or the service cannot work now."""


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

"""Every error the service raises on purpose.

::

    MemoryLayerError
    ├── InvalidInput            a request breaks the contract            INVALID_ARGUMENT
    │   └── InvalidFilter         by a filter that cannot be read
    ├── MalformedRequest        bytes that are not the request's message INVALID_ARGUMENT
    ├── UnknownMethod           no such RPC                              UNIMPLEMENTED
    ├── Unauthenticated         no key, or one that is not known         UNAUTHENTICATED
    ├── PermissionDenied        a key that may not do this               PERMISSION_DENIED
    │   └── TenantNotAllowed      or not in this tenant
    ├── NotFound                nothing under that name                  NOT_FOUND
    ├── RequestIdReused         same request_id, another body            ALREADY_EXISTS
    ├── EtagMismatch            changed since the caller saw it          ABORTED
    ├── WrongState              not in the state that the call needs     FAILED_PRECONDITION
    ├── Exhausted               a limit was met; carries retry_after     RESOURCE_EXHAUSTED
    │   ├── RateLimited           too many calls from one client
    │   ├── TenantRateLimited     too many calls for one tenant
    │   ├── KeyRateLimited        too many calls with one key
    │   ├── QuotaExceeded         a tenant has as much stored as it may
    │   ├── Overloaded            more calls inside than can be served in time
    │   ├── QueueFull             the embedding model has too much of a tenant's to do
    │   ├── DatabaseQueueFull     the database has, and others wait for it
    │   ├── BodyTooLarge          the request is larger than allowed
    │   └── AnswerTooLarge        the answer would be
    ├── DeadlineExceeded        the call ran out of time                 DEADLINE_EXCEEDED
    ├── Unavailable             a part the call needs is down            UNAVAILABLE
    │   ├── StoreUnavailable      Postgres
    │   │   ├── CopyUnavailable     a copy of it
    │   │   └── StoreReadOnly       for whatever writes
    │   ├── EmbeddingUnavailable  the embedding model
    │   │   ├── ProviderDown        for every text alike
    │   │   └── ModelNotHeld        on this server, for this tenant
    │   ├── IdentityUnavailable   the keys of the identity provider
    │   └── NotServing            this process is starting, or
    │       └── Draining            shutting down
    ├── StartupError            the process cannot start (exit code, never on the wire)
    └── Internal                never leaves the operations and the jobs
        ├── LeaseLost             the work is another server's by now
        ├── ModelChanged          the tenant uses another model by now
        └── ReembeddingEnded      it was cancelled, or has been cut over

The class docstring is the default message. Messages reach clients, so none of them ever holds content, a key or a DSN.
The mapping onto gRPC codes and ``ErrorInfo`` reasons lives in ``interceptors/translate.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that breaks the contract: its path (``messages[3].role``) and what is wrong with it."""

    field: str
    description: str


class MemoryLayerError(Exception):
    """The request could not be served."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InvalidInput(MemoryLayerError):
    """The request breaks the contract."""

    def __init__(self, violations: list[FieldViolation], message: str | None = None) -> None:
        first = f"{violations[0].field}: {violations[0].description}" if violations else None
        super().__init__(message or first)
        self.violations = violations

    @classmethod
    def of(cls, field: str, description: str) -> InvalidInput:
        """The common case of one field."""
        return cls([FieldViolation(field, description)])


class InvalidFilter(InvalidInput):
    """The filter cannot be read."""

    @classmethod
    def at(cls, position: int, expected: str) -> InvalidFilter:
        """What was expected at a character, counted from 1. The words are ours: what was sent is never repeated."""
        return cls([FieldViolation("filter", f"character {position}: {expected}")])


class MalformedRequest(MemoryLayerError):
    """The request cannot be read."""


class UnknownMethod(MemoryLayerError):
    """There is no such RPC."""


class Unauthenticated(MemoryLayerError):
    """A valid x-api-key or token is required."""


class PermissionDenied(MemoryLayerError):
    """This key may not do that."""


class TenantNotAllowed(PermissionDenied):
    """This key does not reach that tenant."""


class NotFound(MemoryLayerError):
    """Nothing is stored under that id."""


class RequestIdReused(MemoryLayerError):
    """This request_id was used before with another body."""


class EtagMismatch(MemoryLayerError):
    """The message was changed since that etag; read it again."""


class WrongState(MemoryLayerError):
    """That cannot be done in the state things are in."""


class Exhausted(MemoryLayerError):
    """A limit was met; try again later."""

    def __init__(self, message: str | None = None, *, retry_after_seconds: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(Exhausted):
    """Too many calls from this client."""


class TenantRateLimited(Exhausted):
    """Too many calls for this tenant."""


class KeyRateLimited(Exhausted):
    """Too many calls with this key."""


class QuotaExceeded(Exhausted):
    """This tenant has as much stored as it may: delete some of it, or raise its quota."""


class Overloaded(Exhausted):
    """The server has more to do than it can; try again in a moment, or another server."""


class QueueFull(Exhausted):
    """The embedding model has too much of this tenant's to do; try again in a moment."""


class DatabaseQueueFull(Exhausted):
    """The database has too much of this tenant's to do while others wait; try again in a moment."""


class BodyTooLarge(Exhausted):
    """The request is larger than the server accepts."""


class AnswerTooLarge(Exhausted):
    """The answer is larger than the server gives; ask for less by top_k or neighbours."""


class DeadlineExceeded(MemoryLayerError):
    """The call ran out of time."""


class Unavailable(MemoryLayerError):
    """A part of the service is down; try again."""


class StoreUnavailable(Unavailable):
    """The database cannot be reached; try again."""


class CopyUnavailable(StoreUnavailable):
    """A copy of the database gave a read up; the primary can answer it."""


class StoreReadOnly(StoreUnavailable):
    """The database takes no writes now; try again."""


class EmbeddingUnavailable(Unavailable):
    """The embedding model cannot answer; try again."""


class ProviderDown(EmbeddingUnavailable):
    """The embedding model cannot be reached; try again."""

    # Unlike a plain EmbeddingUnavailable this blames no text, so a batch is not tried again caller by caller.


class ModelNotHeld(EmbeddingUnavailable):
    """This server does not hold the embedding model that the tenant's memory uses now: restart it with that model."""


class IdentityUnavailable(Unavailable):
    """The keys that tokens are checked with cannot be had; try again."""


class NotServing(Unavailable):
    """This server is starting or shutting down; try again."""


class Draining(NotServing):
    """This server is shutting down; try another."""


class StartupError(MemoryLayerError):
    """The service cannot start."""


class Internal(MemoryLayerError):
    """Tells one part of the service something that no caller is told."""


class LeaseLost(Internal):
    """Another server has the lease by now, or could have."""


class ModelChanged(Internal):
    """The tenant uses another model by now."""


class ReembeddingEnded(Internal):
    """The re-embedding is not to go on."""

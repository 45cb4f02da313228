"""Every error the service raises on purpose.

::

    MemoryLayerError
    ├── InvalidInput            a request breaks the contract            INVALID_ARGUMENT
    │   └── InvalidFilter         by a filter that cannot be read
    ├── MalformedRequest        bytes that are not the request's message INVALID_ARGUMENT
    ├── UnknownMethod           no such RPC                              UNIMPLEMENTED
    ├── Unauthenticated         no key, or one that is not known         UNAUTHENTICATED
    ├── PermissionDenied        a key that is not allowed to do this     PERMISSION_DENIED
    │   └── TenantNotAllowed      in this tenant
    ├── NotFound                nothing under that name                  NOT_FOUND
    ├── RequestIdReused         same request_id, different body          ALREADY_EXISTS
    ├── EtagMismatch            changed since the caller saw it          ABORTED
    ├── WrongState              not in the state that the call needs     FAILED_PRECONDITION
    ├── Exhausted               a limit was reached; has retry_after     RESOURCE_EXHAUSTED
    │   ├── RateLimited           too many calls from one client
    │   ├── TenantRateLimited     too many calls for one tenant
    │   ├── KeyRateLimited        too many calls with one key
    │   ├── QuotaExceeded         a tenant's storage quota is used up
    │   ├── Overloaded            more calls than can be served in time
    │   ├── QueueFull             too many of a tenant's texts wait for the embedding model
    │   ├── DatabaseQueueFull     too many of a tenant's calls wait for the database
    │   ├── BodyTooLarge          the request is larger than allowed
    │   └── AnswerTooLarge        the answer would be
    ├── DeadlineExceeded        the call ran out of time                 DEADLINE_EXCEEDED
    ├── Unavailable             a part the call needs is down            UNAVAILABLE
    │   ├── StoreUnavailable      Postgres
    │   │   ├── CopyUnavailable     a replica of it
    │   │   └── StoreReadOnly       for writes
    │   ├── EmbeddingUnavailable  the embedding model
    │   │   ├── ProviderDown        for every text
    │   │   └── ModelNotHeld        on this server, for this tenant
    │   ├── IdentityUnavailable   the keys of the identity provider
    │   └── NotServing            this process is starting, or
    │       └── Draining            shutting down
    ├── StartupError            the process cannot start (exit code, never on the wire)
    └── Internal                never leaves the operations and the jobs
        ├── LeaseLost             another server has the work by now
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
    """This key is not allowed to make this call."""


class TenantNotAllowed(PermissionDenied):
    """This key has no access to that tenant."""


class NotFound(MemoryLayerError):
    """Nothing is stored under that id."""


class RequestIdReused(MemoryLayerError):
    """This request_id was already used with a different body."""


class EtagMismatch(MemoryLayerError):
    """The message has changed since that etag; read it again."""


class WrongState(MemoryLayerError):
    """The call cannot be made in the current state."""


class Exhausted(MemoryLayerError):
    """A limit was reached; try again later."""

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
    """This tenant's storage quota is used up: delete something, or raise the quota."""


class Overloaded(Exhausted):
    """The server is overloaded; try again in a moment, or try another server."""


class QueueFull(Exhausted):
    """Too many of this tenant's texts are waiting for the embedding model; try again in a moment."""


class DatabaseQueueFull(Exhausted):
    """Too many of this tenant's calls are waiting for the database; try again in a moment."""


class BodyTooLarge(Exhausted):
    """The request is larger than the server accepts."""


class AnswerTooLarge(Exhausted):
    """The answer is larger than the server allows; lower top_k or neighbours."""


class DeadlineExceeded(MemoryLayerError):
    """The call ran out of time."""


class Unavailable(MemoryLayerError):
    """A part of the service is down; try again."""


class StoreUnavailable(Unavailable):
    """The database cannot be reached; try again."""


class CopyUnavailable(StoreUnavailable):
    """A replica of the database gave up on a read; the primary can answer it."""


class StoreReadOnly(StoreUnavailable):
    """The database accepts no writes at the moment; try again."""


class EmbeddingUnavailable(Unavailable):
    """The embedding model is not available; try again."""


class ProviderDown(EmbeddingUnavailable):
    """The embedding model cannot be reached; try again."""

    # Unlike a plain EmbeddingUnavailable this blames no text, so a batch is not tried again caller by caller.


class ModelNotHeld(EmbeddingUnavailable):
    """This server does not have the embedding model that the tenant's memory now uses: restart it with that model."""


class IdentityUnavailable(Unavailable):
    """The keys for checking tokens cannot be fetched; try again."""


class NotServing(Unavailable):
    """This server is starting or shutting down; try again."""


class Draining(NotServing):
    """This server is shutting down; try another."""


class StartupError(MemoryLayerError):
    """The service cannot start."""


class Internal(MemoryLayerError):
    """Passes something between parts of the service; callers never see it."""


class LeaseLost(Internal):
    """Another server holds the lease by now, or may hold it."""


class ModelChanged(Internal):
    """The tenant has changed to another model."""


class ReembeddingEnded(Internal):
    """The re-embedding must not continue."""

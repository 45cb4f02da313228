"""The Python client: ``MemoryClient`` for threads, ``AsyncMemoryClient`` for asyncio.

``pip install memory-grpc`` is all they need. Both have the same methods: one for each RPC, and ``remember``, ``recall``
and ``context`` for the loop of a chatbot. They take and return the dataclasses of ``memory_grpc.client.types``, and
raise the errors of ``memory_grpc.client.errors``.
"""

from memory_grpc.client.aio import AsyncMemoryClient
from memory_grpc.client.errors import (
    Conflict,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidArgument,
    MemoryServiceError,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
)
from memory_grpc.client.pages import AsyncPages, Pages
from memory_grpc.client.retry import Retry
from memory_grpc.client.sync import MemoryClient
from memory_layer.client import types

__all__ = [
    "AsyncMemoryClient",
    "AsyncPages",
    "Conflict",
    "DeadlineExceeded",
    "FailedPrecondition",
    "Internal",
    "InvalidArgument",
    "MemoryClient",
    "MemoryServiceError",
    "NotFound",
    "Pages",
    "PermissionDenied",
    "ResourceExhausted",
    "Retry",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Violation",
    "types",
]

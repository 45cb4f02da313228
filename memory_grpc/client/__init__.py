"""The Python client: ``MemoryClient`` for threads, ``AsyncMemoryClient`` for asyncio.

Needs nothing but what ``pip install memory-grpc`` brings. The two have the same methods, one for each RPC, and
``remember``, ``recall`` and ``context`` for the loop of a chatbot. What they take and return are the dataclasses of
``memory_grpc.client.types``; what they raise is drawn in ``memory_grpc.client.errors``.
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

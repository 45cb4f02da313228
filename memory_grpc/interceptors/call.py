"""The call that is being served, as the interceptors see it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import grpc


@dataclass(slots=True)
class Call:
    """One RPC: who calls what, and what the interceptors have found out."""

    method: str
    """Full name, as ``/memory_layer.v1.MemoryService/GetMessage``."""
    kind: str
    """``unary`` or ``bidi_stream``, as in the metric label grpc_type."""
    context: grpc.aio.ServicerContext[Any, Any]
    metadata: dict[str, str] = field(default_factory=dict)
    """Text metadata of the request; of a repeated key the last value."""
    request_id: str = ""
    authenticated: bool = False
    was_shed: bool = False
    """Refused because the server has too much to do: a line of the log for each would be more to do."""

    @property
    def service(self) -> str:
        """As ``memory_layer.v1.MemoryService``."""
        return self.method.strip("/").partition("/")[0]

    @property
    def name(self) -> str:
        """As ``GetMessage``."""
        return self.method.rpartition("/")[2]


# What happens around a call: an async context manager, so that one form serves unary and streaming RPCs.
Interceptor = Callable[[Call], AbstractAsyncContextManager[None]]

# Probes and tools: these answer without a key and are not counted against any limit.
OPEN_SERVICES = frozenset(
    {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
)
HEALTH_METHOD = "/memory_layer.v1.AdminService/GetHealth"


def is_open(call: Call) -> bool:
    """True for calls that need no key: probes, reflection (which asks for one itself) and the health endpoint."""
    return call.service in OPEN_SERVICES or call.method == HEALTH_METHOD

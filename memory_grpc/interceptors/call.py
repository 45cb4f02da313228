"""The call that is being served, as the interceptors see it."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import grpc

from memory_grpc.access import Grant
from memory_grpc.headers import Headers
from memory_grpc.rpc_facts import UNDECLARED, RpcFacts
from memory_grpc.rpcs import FACTS


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
    client: str = ""
    """Address that the call comes from, as it is counted; see ``rate_limit.py``."""
    caller: Hashable = None
    """Whose share of the places it has; see ``concurrency.py`` and ``share.py``."""
    account: str = ""
    """The tenant that it is charged to: the first that its request names."""
    seconds_at_door: float = 0.0
    """That it waited for others of its caller's; see ``at_work.py``."""
    counted: frozenset[str] = frozenset()
    """Tenants whose rate limit it was counted against."""
    was_shed: bool = False
    """Refused because the server has too much to do: a line of the log for each would be more to do."""
    grant: Grant | None = None
    """What the caller may do; None without a valid key."""
    tenants: tuple[str, ...] = ()
    """Those that its request names, each once; known of calls that are recorded, and of callers that are held to
    some tenants."""
    trailers: Headers = field(default_factory=list)
    """What an error of it is told with, besides what every error has."""

    def waited(self, seconds: float) -> None:
        """It has waited at the door."""
        self.seconds_at_door += seconds

    @property
    def service(self) -> str:
        """As ``memory_layer.v1.MemoryService``."""
        return self.method.strip("/").partition("/")[0]

    @property
    def name(self) -> str:
        """As ``GetMessage``."""
        return self.method.rpartition("/")[2]

    @property
    def facts(self) -> RpcFacts:
        """What the contract says of the RPC; of one that it does not hold, nothing."""
        return FACTS.get(self.method, UNDECLARED)

    @property
    def is_standard(self) -> bool:
        """Of the health service or of reflection, which any gRPC server may have."""
        return self.service in STANDARD_SERVICES

    @property
    def is_probe(self) -> bool:
        """Not bounded by the load: it says how the server is, whatever the load."""
        return self.is_standard or self.facts.kind == "probe"

    @property
    def is_reflection(self) -> bool:
        """Tells what services there are, to who has a key."""
        return self.service.startswith("grpc.reflection.")

    @property
    def is_open(self) -> bool:
        """Needs no key; reflection asks for one itself."""
        return self.is_standard or self.facts.is_open


# What happens around a call: an async context manager, so that one form serves unary and streaming RPCs.
Interceptor = Callable[[Call], AbstractAsyncContextManager[None]]

# Their files are not ours to write options into. Probes and tools: they answer without a key, whatever the load.
STANDARD_SERVICES = frozenset(
    {"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}
)
# One name for all methods that do not exist: names of strangers' choosing must not become metrics.
UNKNOWN_METHOD = "/unknown/Unknown"

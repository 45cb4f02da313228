"""A call without a network: what interceptors look at, and what they do to it."""

from __future__ import annotations

from typing import Any

import grpc

from memory_grpc.interceptors.call import Call

METHOD = "/memory_layer.v1.MemoryService/GetMessage"
HEALTH = "/memory_layer.v1.AdminService/GetHealth"
PROBE = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


class FakeContext:
    """A servicer context that remembers how it was aborted."""

    def __init__(self, *, peer: str = "ipv4:203.0.113.7:4242", time_remaining: float | None = None) -> None:
        self._peer = peer
        self._time_remaining = time_remaining
        self.aborted: tuple[grpc.StatusCode, str] | None = None
        self.trailers: dict[str, Any] = {}

    def peer(self) -> str:
        return self._peer

    def time_remaining(self) -> float | None:
        return self._time_remaining

    def code(self) -> Any:
        return self.aborted[0] if self.aborted else 0

    def set_trailing_metadata(self, trailers: Any) -> None:
        self.trailers = dict(trailers)

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> None:
        self.aborted = (code, details)
        self.trailers = dict(trailing_metadata)
        raise grpc.aio.AbortError


def fake_call(
    method: str = METHOD, *, metadata: dict[str, str] | None = None, kind: str = "unary", **context: Any
) -> Call:
    """A call to ``method``; ``context`` goes to FakeContext."""
    fake: Any = FakeContext(**context)
    return Call(method, kind, fake, metadata or {}, request_id="r-1")

"""Calls that wait when the server asks for it, and try again when a failure may pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc

from memory_grpc.client.errors import from_call
from memory_grpc.commands import client
from memory_grpc.commands.configuration import Target
from memory_layer.v1.admin_service_pb2_grpc import AdminServiceStub
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub
from memory_layer.v1.policy_service_pb2_grpc import PolicyServiceStub

_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 0.25, 10.0
_HINT = " A server that is started with MEMORY_GLOBAL_RATE_LIMIT= (empty) has no limit, and is faster here."


@dataclass(slots=True)
class Caller:
    """Reading calls and policies, all of which may be repeated. Raises CommandError when the server refuses for good.

    ``patience_seconds`` is how long nothing but failures is borne; waits for the rate limit are not counted.
    """

    channel: grpc.aio.Channel
    target: Target
    note: Callable[[str], None]
    patience_seconds: float = 120.0
    _not_before: float = 0.0
    _hinted: bool = False

    async def memory(self, method: str, request: Any) -> Any:
        """A call of MemoryService."""
        return await self._call(getattr(MemoryServiceStub(self.channel), method), request)

    async def admin(self, method: str, request: Any) -> Any:
        """A call of AdminService."""
        return await self._call(getattr(AdminServiceStub(self.channel), method), request)

    async def policy(self, method: str, request: Any) -> Any:
        """A call of PolicyService."""
        return await self._call(getattr(PolicyServiceStub(self.channel), method), request)

    async def _call(self, method: Any, request: Any) -> Any:
        backoff, failing_since = _FIRST_BACKOFF_SECONDS, time.monotonic()
        while True:
            # Not an event: a moment, which answers to other calls may put off.
            while (left := self._not_before - time.monotonic()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(left)
            try:
                return await method(request, metadata=client.metadata(self.target), timeout=self.target.timeout_seconds)
            except grpc.aio.AioRpcError as error:
                failure = from_call(error)
                asked = failure.retry_after
                if asked is not None and failure.reason in client.RATE_LIMITS:
                    self._put_off(asked)
                    failing_since = time.monotonic() + asked
                    continue
                patient = time.monotonic() - failing_since < self.patience_seconds
                if error.code() not in _PASSING or not patient:
                    raise client.failure(failure, self.target.address) from None
                await asyncio.sleep(max(asked or 0.0, backoff))
                backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)

    def _put_off(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        if until > self._not_before + 1:  # several calls are told at once; one line says it
            hint, self._hinted = ("" if self._hinted else _HINT), True
            self.note(f"The server's rate limit is reached: waiting {seconds:g} s.{hint}")
        self._not_before = max(self._not_before, until)

"""Who did what: administration and erasure, calls that were denied, and that a key is used. Never what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from memory_grpc.access import ANONYMOUS_ACTOR, Grant
from memory_grpc.errors import NotServing, PermissionDenied, StoreUnavailable, Unauthenticated
from memory_grpc.interceptors.call import Call, Interceptor
from memory_grpc.interceptors.translate import code_of

# The outcome of a stream that has begun.
STARTED = "STARTED"


class Recorder(Protocol):
    """Where it is recorded: see operations/audit/trail.py."""

    async def record(self, actor: str, action: str, outcome: str, tenants: Sequence[str], request_id: str) -> None:
        """Returns when it is stored."""

    def deny(self, actor: str, action: str, outcome: str, tenants: Sequence[str], request_id: str) -> None:
        """Notes a refusal."""

    def use(self, grant: Grant, request_id: str) -> None:
        """Notes that a key was used."""


def audit(trail: Callable[[], Recorder]) -> Interceptor:
    """The interceptor: whatever came of a call is known when it ends, and not yet told.

    Raises StoreUnavailable where what an administrator did cannot be recorded; an error stays the error that it is.
    """

    @asynccontextmanager
    async def interceptor(call: Call) -> AsyncIterator[None]:
        try:
            yield
        except (Exception, asyncio.CancelledError) as error:
            with suppress(StoreUnavailable, NotServing):
                await _record(trail, call, error)
            raise
        await _record(trail, call, None)

    return interceptor


async def begun(trail: Callable[[], Recorder], call: Call) -> None:
    """Records that an administrator's stream begins, whose answers go out before its end. Raises StoreUnavailable."""
    if call.kind == "server_stream" and call.facts.is_recorded:
        await trail().record(*_told(call, STARTED))


async def _record(trail: Callable[[], Recorder], call: Call, error: BaseException | None) -> None:
    if call.is_open:
        return
    told = _told(call, "OK" if error is None else code_of(error))
    if isinstance(error, PermissionDenied | Unauthenticated):
        trail().deny(*told)
    elif call.grant is not None and call.facts.is_recorded:
        await trail().record(*told)
    if call.grant is not None:
        trail().use(call.grant, call.request_id)


def _told(call: Call, outcome: str) -> tuple[str, str, str, Sequence[str], str]:
    actor = ANONYMOUS_ACTOR if call.grant is None else call.grant.actor
    return actor, f"{call.service.rpartition('.')[2]}.{call.name}", outcome, call.tenants, call.request_id

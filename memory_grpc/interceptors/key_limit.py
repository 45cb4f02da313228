"""The calls a minute that a made key may make, where it has a limit of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from limits import RateLimitItemPerMinute

from memory_grpc.errors import KeyRateLimited
from memory_grpc.interceptors.call import Call
from memory_grpc.interceptors.counts import Counts
from memory_grpc.observability import metrics

_KEY = "key"


class KeyRateLimit:
    """A moving window per key, from wherever it is used. A stream counts once; what its role does not allow, too."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Raises KeyRateLimited, which says when there is room again."""
        if call.grant is not None and call.grant.rate_limit:
            limit = RateLimitItemPerMinute(call.grant.rate_limit)
            seconds = await self._counts.hit([limit], _KEY, str(call.grant.key_id))
            if seconds is not None:
                metrics.CALLS_LIMITED.labels(_KEY).inc()
                raise KeyRateLimited(retry_after_seconds=seconds)
        yield

"""MEMORY_REQUEST_TIMEOUT_SECONDS: no call lasts longer, whatever its client asks; many ask for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from memory_grpc import deadline
from memory_grpc.errors import DeadlineExceeded
from memory_grpc.interceptors.call import Call, Interceptor


def limit_time(seconds: float) -> Interceptor:
    """The interceptor: gives a unary call ``seconds`` or what its client allows, whichever is less.

    Streams are long by nature; what they do inside is limited one message at a time.
    """

    @asynccontextmanager
    async def interceptor(call: Call) -> AsyncIterator[None]:
        if call.kind != "unary":
            yield
            return
        asked = call.context.time_remaining()
        allowed = seconds if asked is None else min(seconds, asked)
        timeout = asyncio.timeout(allowed)
        try:
            with deadline.within(allowed):
                async with timeout:
                    yield
        except TimeoutError as error:
            if not timeout.expired():  # somebody else's timeout, and a fault
                raise
            raise DeadlineExceeded from error

    return interceptor

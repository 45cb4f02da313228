"""MEMORY_REQUEST_TIMEOUT_SECONDS: no call lasts longer, whatever its client asks; many ask for nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from memory_grpc import deadline
from memory_grpc.errors import DeadlineExceeded
from memory_grpc.interceptors.call import Call, Interceptor

# An answer that is given at the client's deadline comes after it: it is given so much before, or a twentieth of a short
# deadline. At the deadline itself grpc ends the call in its own way too, and the two ends together can fail the whole
# connection from Envoy.
_EARLY_SECONDS, _EARLY_SHARE = 0.05, 0.05


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
        allowed = seconds if asked is None else min(seconds, asked - min(_EARLY_SECONDS, _EARLY_SHARE * asked))
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

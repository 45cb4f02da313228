"""Whether this server serves. Closed while it starts and again while it drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from memory_grpc.errors import NotServing
from memory_grpc.interceptors.call import Call


class Gate:
    """Lets calls in while it is open, and knows those inside."""

    def __init__(self) -> None:
        self.is_open = False
        self._inside: set[asyncio.Timeout] = set()
        self._endless: set[asyncio.Timeout] = set()
        self._empty = asyncio.Event()
        self._empty.set()

    async def close(self, seconds: float) -> None:
        """No call passes from here on. Those inside get ``seconds`` to end; then they are ended, as NotServing.

        Streams of probes and reflection would last for ever (every balancer holds a Watch open): they end at once.
        """
        self.is_open = False
        _end(self._endless)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        _end(self._inside)

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Raises NotServing while the gate is closed; probes and reflection always pass."""
        if call.is_standard:
            if call.kind == "unary":
                yield
                return
            async with _among(self._endless):
                yield
            return
        if not self.is_open:
            raise NotServing
        self._empty.clear()
        try:
            async with _among(self._inside):
                yield
        finally:
            if not self._inside:
                self._empty.set()


@asynccontextmanager
async def _among(calls: set[asyncio.Timeout]) -> AsyncIterator[None]:
    """A call that ``_end`` can end. Raises NotServing then."""
    call = asyncio.timeout(None)
    calls.add(call)
    try:
        async with call:
            yield
    except TimeoutError as error:
        if not call.expired():  # somebody else's timeout, and a fault
            raise
        raise NotServing from error
    finally:
        calls.discard(call)


def _end(calls: set[asyncio.Timeout]) -> None:
    for call in calls:
        call.reschedule(asyncio.get_running_loop().time())

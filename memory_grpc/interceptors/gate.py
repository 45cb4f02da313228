"""Whether this server serves. Closed while it starts and again while it drains."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from memory_grpc.errors import NotServing
from memory_grpc.interceptors.call import OPEN_SERVICES, Call


class Gate:
    """Lets calls in while it is open, and counts those inside."""

    def __init__(self) -> None:
        self.is_open = False
        self.inside = 0

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Raises NotServing while the gate is closed; probes and reflection always pass."""
        if call.service in OPEN_SERVICES:
            yield
            return
        if not self.is_open:
            raise NotServing
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

"""Turns: long work for one tenant, that leaves the others their turn and the pool its connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from memory_grpc.errors import Overloaded


class Turns:
    """So many at once, and of each tenant one, that waits included."""

    def __init__(self, at_once: int) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._tenants: set[str] = set()

    @asynccontextmanager
    async def of(self, tenant_id: str) -> AsyncIterator[None]:
        """Waits for a turn, without a connection. Raises Overloaded where the tenant has one, or waits for one."""
        if tenant_id in self._tenants:
            raise Overloaded("The tenant has such a call under way already; try again when it has ended.")
        self._tenants.add(tenant_id)
        try:
            async with self._turn:
                yield
        finally:
            self._tenants.discard(tenant_id)

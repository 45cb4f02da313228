"""Turns: long work for one tenant, that leaves the others their turn and the pool its connections."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from memory_grpc.errors import Overloaded

_MOST_OF_A_TENANT = 16


class Turns:
    """So many at once, and of each tenant one: its others wait for that, and not in the way of other tenants."""

    def __init__(self, at_once: int) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._tenants: dict[str, asyncio.Lock] = {}
        self._count: Counter[str] = Counter()

    @asynccontextmanager
    async def of(self, tenant_id: str) -> AsyncIterator[None]:
        """Waits for a turn, without a connection. Raises Overloaded where many of the tenant's wait already."""
        if self._count[tenant_id] >= _MOST_OF_A_TENANT:
            raise Overloaded("This tenant has too many of these calls running; try again when some have ended.")
        self._count[tenant_id] += 1
        try:
            async with self._tenants.setdefault(tenant_id, asyncio.Lock()), self._turn:
                yield
        finally:
            self._count[tenant_id] -= 1
            if not self._count[tenant_id]:
                del self._count[tenant_id], self._tenants[tenant_id]

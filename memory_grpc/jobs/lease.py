"""Work that one server of a deployment does at a time, each kind under a lease in the database.

::

                 another has it
            ┌───────────────────────▶ None: nothing to do here
            │
    free ──acquire──▶ held ──the block ends──▶ released: free
                      │  ▲
                      │  └── renewed, by heartbeats and by guard(tx)
                      │
                      ├── a renewal finds another holder ─────────▶ lost: the block is
                      └── none went through in nine tenths of ────▶ cancelled, LeaseLost
                          its time

A lease is a row with a holder and a time until which it holds, by the database's clock. Nobody has to give it back: the
lease of a server that died runs out, and the next one takes it. So a server that only seems dead (stopped, or cut off
from the database) may find that it has lost its lease in the middle of the work. Two things follow.

*Work ends with its lease.* A heartbeat renews it while the block runs, six times in its time, so that a lease can be
short and the work as long as it likes. Where that is not possible any more the block is cancelled, a tenth of the time
before another server could begin.

*What is written is written under the lease.* A process that was stopped and woken is not cancelled before it has sent
its next statement. So each transaction of the work ends with ``guard``: it renews the lease and locks its row until the
commit, or finds it lost and takes everything back. It comes last, because heartbeats wait for that lock.

Releasing may fail. That is logged by the error's class, and no more: the work is done or not, whatever becomes of the
lease, and an error of its own is the one to tell.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from uuid import UUID

import structlog

from memory_grpc import deadline
from memory_grpc.errors import LeaseLost
from memory_grpc.jobs.heartbeat import BEATS, beating
from memory_grpc.store import leases
from memory_grpc.store.database import EVERY_TENANT, Database, Transaction

log = structlog.get_logger(__name__)


class Lease:
    """``async with lease as held`` gives None when another server has it. To be entered as often as there is work, but
    not again inside.

    Entering raises StoreUnavailable and DeadlineExceeded. Leaving raises LeaseLost in place of the cancellation that
    ended the block, and otherwise whatever the block raised.
    """

    def __init__(self, database: Database, name: str, holder: UUID, seconds: float) -> None:
        """``database`` should have a connection left when the work's own are all busy."""
        self._database = database
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._work: AbstractAsyncContextManager[Lease | None] | None = None

    async def __aenter__(self) -> Lease | None:
        assert self._work is None, "a lease is entered once at a time"
        self._work = self._hold()
        try:
            return await self._work.__aenter__()
        except BaseException:
            self._work = None
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> bool | None:
        assert self._work is not None, "it was entered"
        work, self._work = self._work, None
        return await work.__aexit__(kind, error, at)

    async def guard(self, tx: Transaction) -> None:
        """Renews the lease in a transaction of the work, and keeps it until that ends: the last statement before the
        commit. Raises LeaseLost."""
        if not await leases.renew(tx, self._name, self._holder, self._seconds):
            raise LeaseLost

    @asynccontextmanager
    async def _hold(self) -> AsyncIterator[Lease | None]:
        since = asyncio.get_running_loop().time()
        async with self._brief() as tx:
            is_held = await leases.acquire(tx, self._name, self._holder, self._seconds)
        if not is_held:
            yield None
            return
        try:
            async with beating(self._renew, self._seconds, since):
                yield self
        finally:
            await self._release()

    async def _renew(self) -> bool:
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            return await leases.renew(tx, self._name, self._holder, self._seconds)

    async def _release(self) -> None:
        try:
            async with self._brief() as tx:
                await leases.release(tx, self._name, self._holder)
        except Exception as error:
            log.warning("lease_not_released", lease=self._name, error=type(error).__name__)

    @asynccontextmanager
    async def _brief(self) -> AsyncIterator[Transaction]:
        """A transaction that waits for nothing longer than until the next heartbeat."""
        with deadline.within(self._seconds / BEATS):
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                yield tx

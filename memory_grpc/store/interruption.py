"""What becomes of a statement whose call has ended: it ends as well, and its connection serves the next call.

A call is often ended twice: by its deadline here, and by its client, whose own is as near. psycopg takes the second
end, which comes while it cancels the statement, for a reason to hang up. Calls with deadlines of a few milliseconds
would then have Postgres start processes for each, and everybody wait for new connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import psycopg
from psycopg import waiting
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus

from memory_grpc.store.transaction import Row

# Most statements end sooner, or by their statement_timeout. To cancel one takes another connection, and a process of
# Postgres'.
GRACE_SECONDS = 0.02
# Then it is cancelled, and again after these: a cancellation that comes between two statements of a pipeline is lost.
_AGAIN_SECONDS = (0.1, 0.5)
_CANCEL_SECONDS = 2.0
# Where that does not end it either, Postgres learns of it as the connection is closed.
_PATIENCE_SECONDS = 5.0
_CHECK_SECONDS = 0.1


class Connection(psycopg.AsyncConnection[Row]):
    """One of the pool's."""

    async def wait(self, gen: PQGen[RV], interval: float = _CHECK_SECONDS, timeout: float | None = None) -> RV:
        """As psycopg's, but for what a cancellation does."""
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval=interval, timeout=timeout)
        except asyncio.CancelledError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await to_its_end(self._end(gen))
            raise

    async def _end(self, gen: PQGen[RV]) -> None:
        try:
            for seconds in (GRACE_SECONDS, *_AGAIN_SECONDS):
                if await self._ends(gen, seconds):
                    return
                await self._try_cancel(timeout=_CANCEL_SECONDS)
            if not await self._ends(gen, _PATIENCE_SECONDS):
                self.pgconn.finish()
        except asyncio.CancelledError:  # the process ends
            self.pgconn.finish()
            raise

    async def _ends(self, gen: PQGen[RV], seconds: float) -> bool:
        """Whether the statement is over, with an error or without, before so many have passed."""
        try:
            await waiting.wait_async(gen, self.pgconn.socket, interval=_CHECK_SECONDS, timeout=seconds)
        except psycopg.errors._WaitTimeout:
            return False
        except psycopg.Error:
            pass
        return True


async def to_its_end(work: Coroutine[None, None, None]) -> None:
    """Waits for ``work`` however often the caller is cancelled meanwhile, and raises its cancellation only then; what
    else ends ``work`` is raised before."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    task.result()
    if cancelled is not None:
        raise cancelled

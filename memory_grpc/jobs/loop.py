"""Loops that run beside the server: they outlive errors, and end when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

import structlog

from memory_grpc.jobs.tasks import end
from memory_grpc.observability import metrics

# How long work may take to end once it is cancelled. Past that it is left behind: a connection that neither answers nor
# breaks must not hold up the end of the server.
STOP_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Loop:
    """Calls ``work`` every ``seconds``, or sooner when woken; at once again while ``work`` returns something true.

    Nothing but ``stop``, or a cancellation of the loop itself, ends it. An exception of ``work`` is logged by its class
    and the loop goes on: a database that is down for a while must not end retention until the next restart. A
    cancellation inside ``work`` that nobody asked the loop for is such an exception too.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], seconds: float) -> None:
        self._name = name
        self._work = work
        self._seconds = seconds
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        metrics.BACKGROUND_ERRORS.labels(name)  # there from the start, so that the first error is an increase

    def start(self) -> None:
        """Begins; the first call of ``work`` comes at once."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    async def stop(self) -> None:
        """Cancels ``work`` where it is; returns when it has ended, and after STOP_SECONDS at the latest."""
        task, self._task = self._task, None
        if task is None:
            return
        if not await end(task, STOP_SECONDS):
            log.error("loop_not_stopped", loop=self._name)

    async def _run(self) -> None:
        task = asyncio.current_task()
        assert task is not None, "start makes a task of this"
        while not task.cancelling():  # also where ``work`` made something else of the cancellation
            self._woken.clear()
            more: object = False
            try:
                more = await self._work()
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and task.cancelling():
                    raise
                metrics.BACKGROUND_ERRORS.labels(self._name).inc()
                log.warning("background_error", loop=self._name, error=type(error).__name__)
            if more or task.cancelling():
                continue
            try:
                async with asyncio.timeout(self._seconds):
                    await self._woken.wait()
            except TimeoutError:
                pass


@asynccontextmanager
async def at_work(loops: Sequence[Loop]) -> AsyncIterator[None]:
    """Loops that run for as long as the block does; at its end all are stopped at once."""
    for loop in loops:
        loop.start()
    try:
        yield
    finally:
        await asyncio.gather(*(loop.stop() for loop in loops))

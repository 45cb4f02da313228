"""Loops that run beside the server: they outlive errors, and end when they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

log = structlog.get_logger(__name__)


class Loop:
    """Calls ``work`` every ``seconds``, or sooner when woken; at once again while ``work`` returns something true.

    An exception of ``work`` is logged by its class and the loop goes on: a database that is down for a while must not
    end retention until the next restart.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[object]], seconds: float) -> None:
        self._name = name
        self._work = work
        self._seconds = seconds
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; the first call of ``work`` comes at once."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    async def stop(self) -> None:
        """Cancels ``work`` where it is and returns when it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            more: object = False
            try:
                more = await self._work()
            except Exception as error:
                log.warning("background_error", loop=self._name, error=type(error).__name__)
            if more:
                continue
            try:
                async with asyncio.timeout(self._seconds):
                    await self._woken.wait()
            except TimeoutError:
                pass

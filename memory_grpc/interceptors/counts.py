"""How often somebody called: in moving windows, in this process, or shared by all servers in a Redis.

A Redis that is away stops nobody: what it does not answer in time is counted here, and for a while it is not asked.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from limits import RateLimitItem, parse_many
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from memory_grpc.errors import StartupError
from memory_grpc.observability import metrics

log = structlog.get_logger(__name__)

_EXPIRY_SECONDS = 5.0
# A call waits so long for the count at most, and then nobody asks for a while.
_PATIENCE_SECONDS = 0.25
_REST_SECONDS = 5.0


def limits_of(notation: str, setting: str) -> Sequence[RateLimitItem]:
    """The limits of a notation (``10/second;200/minute``), which all hold. Raises StartupError."""
    try:
        return parse_many(notation) if notation.strip() else []
    except ValueError as error:
        raise StartupError(f"{setting} is not a limit like 200/minute.") from error


class Counts:
    """By the ``limits`` library. ``storage`` is the URL of a Redis, or empty.

    What is counted here holds calls to an equal part of each limit, rounded up, where ``processes`` share the calls.
    """

    def __init__(self, storage: str = "", clock: Callable[[], float] = time.monotonic, *, processes: int = 1) -> None:
        self._clock = clock
        self._processes = processes
        self._memory = MemoryStorage()
        self._here = MovingWindowRateLimiter(self._memory)
        self._shared = MovingWindowRateLimiter(_redis(storage)) if storage else None
        self._rest: asyncio.Task[None] | None = None
        self._asks_again = float("-inf")
        self._is_away = False

    async def hit(self, limits: Sequence[RateLimitItem], *names: str) -> float | None:
        """Counts a call of those names. None, or in how many seconds there is room for it again."""
        for limit in limits:
            if (seconds := await self._hit(limit, names)) is not None:
                return seconds
        return None

    async def _hit(self, limit: RateLimitItem, names: Sequence[str]) -> float | None:
        if self._shared is not None and self._clock() >= self._asks_again:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    seconds = await _counted(self._shared, limit, names)
            except Exception as error:  # whatever a client of Redis may raise
                self._asks_again = self._clock() + _REST_SECONDS
                self._tell(is_away=True, error=type(error).__name__)
            else:
                self._tell(is_away=False)
                return seconds
        self._rest_from_expiry()
        return await _counted(self._here, self._part(limit), names)

    def _part(self, limit: RateLimitItem) -> RateLimitItem:
        if self._processes == 1:
            return limit
        return type(limit)(math.ceil(limit.amount / self._processes), limit.multiples, limit.namespace)

    def _tell(self, *, is_away: bool, error: str = "") -> None:
        """Once for each time that it goes or comes back."""
        metrics.RATE_LIMIT_FAILURES.inc(is_away)
        if is_away is not self._is_away:
            self._is_away = is_away
            if is_away:
                log.warning("rate_limit_storage_away", error=error)
            else:
                log.info("rate_limit_storage_back")

    def _rest_from_expiry(self) -> None:
        """Lets the storage look for what has expired now and then only.

        It would do so with every call, which costs a hop into a thread for each client that it knows, and many times
        what counting costs. What has expired is not counted anyway; it only takes room. While a task in the storage's
        ``timer`` is not done, it does not begin again.
        """
        timer = self._memory.timer
        if timer is not None and timer.done() and timer is not self._rest:
            self._rest = self._memory.timer = asyncio.create_task(asyncio.sleep(_EXPIRY_SECONDS))


async def _counted(limiter: MovingWindowRateLimiter, limit: RateLimitItem, names: Sequence[str]) -> float | None:
    if await limiter.hit(limit, *names):
        return None
    window = await limiter.get_window_stats(limit, *names)
    return window.reset_time - time.time()


def _redis(url: str) -> Any:
    if not url.startswith(("redis://", "rediss://", "redis+unix://")):
        raise StartupError("MEMORY_RATE_LIMIT_STORAGE must be the URL of a Redis, such as redis://host:6379/0.")
    try:
        from limits.storage import storage_from_string

        return storage_from_string(f"async+{url}", implementation="coredis")
    except Exception as error:  # the words may hold a password
        raise StartupError(
            "MEMORY_RATE_LIMIT_STORAGE cannot be used: it must look like redis://host:6379/0."
        ) from error

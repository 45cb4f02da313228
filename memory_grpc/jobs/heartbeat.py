"""Heartbeats: work goes on for as long as the lease that it is done under is renewed, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from memory_grpc import deadline
from memory_grpc.errors import LeaseLost
from memory_grpc.jobs.tasks import end

# Renewals in the time of one lease. Some of them may fail: a connection that broke, a database that is restarted.
BEATS = 6
# The last part of a lease's time, in which the work under it is ended before another server can begin.
SPARE = 0.1
_END_SECONDS = 2.0

log = structlog.get_logger(__name__)

Renew = Callable[[], Awaitable[bool]]


@asynccontextmanager
async def beating(renew: Renew, seconds: float, since: float) -> AsyncIterator[None]:
    """Runs the block while ``renew`` goes on saying that the lease is held; it has each time ``seconds`` more.

    ``since`` is the event loop's time of just before the lease was asked for, so that here it never lasts longer than
    in the database. When ``renew`` says no, or could not say yes in time, the block is cancelled where it is, and
    LeaseLost raised. An error of the block itself is raised as it is.
    """
    bound = asyncio.timeout_at(_end(since, seconds))
    heart = asyncio.create_task(_beat(renew, seconds, bound), name="heartbeat")
    try:
        async with bound:
            yield
    except TimeoutError as error:
        if not bound.expired():  # somebody else's timeout
            raise
        raise LeaseLost from error
    finally:
        await end(heart, _END_SECONDS)
    if bound.expired():  # the block has swallowed its cancellation
        raise LeaseLost


async def _beat(renew: Renew, seconds: float, bound: asyncio.Timeout) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(seconds / BEATS)
        sent = loop.time()
        try:
            with deadline.within(seconds / BEATS):
                held = await renew()
        except Exception as error:
            log.warning("heartbeat_failed", error=type(error).__name__)
            continue
        if bound.expired():
            return
        bound.reschedule(_end(sent, seconds) if held else sent)


def _end(since: float, seconds: float) -> float:
    return since + (1 - SPARE) * seconds

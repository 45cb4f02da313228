"""The deadline of the call that is being served, for the parts that cannot see the call.

The interceptor sets it; the store turns what is left of it into Postgres' statement_timeout. Background work has none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from memory_grpc.errors import DeadlineExceeded

_MOST = 0.8

_ends_at: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Gives the calls inside ``seconds`` from now, or less if an outer deadline is nearer."""
    ends_at = time.monotonic() + seconds
    outer = _ends_at.get()
    token = _ends_at.set(ends_at if outer is None else min(ends_at, outer))
    try:
        yield
    finally:
        _ends_at.reset(token)


def remaining() -> float | None:
    """Seconds left, or None without a deadline. Raises DeadlineExceeded when nothing is left."""
    ends_at = _ends_at.get()
    if ends_at is None:
        return None
    left = ends_at - time.monotonic()
    if left <= 0:
        raise DeadlineExceeded
    return left


@asynccontextmanager
async def most_of_it(late: type[Exception]) -> AsyncIterator[None]:
    """Gives the block four fifths of what is left and raises ``late`` when it needs more: so that there is time left to
    do without it. Without a deadline it has all the time."""
    left = remaining()
    timeout = asyncio.timeout(None if left is None else _MOST * left)
    try:
        async with timeout:
            yield
    except TimeoutError as error:
        if not timeout.expired():  # somebody else's timeout, and a fault
            raise
        raise late from error

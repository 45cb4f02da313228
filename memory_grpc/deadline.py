"""The deadline of the call that is being served, for the parts that cannot see the call.

The interceptor sets it; the store turns what is left of it into Postgres' statement_timeout. Background work has none.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from memory_grpc.errors import DeadlineExceeded

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

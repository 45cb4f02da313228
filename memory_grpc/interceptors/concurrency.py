"""Refuses at the door what this server cannot finish in time: a bound on the calls inside, which follows the load.

::

    bound ◀── × 0.8, not below the floor ────── one in ten of the last calls used more than half of its time
          ◀── + 1, not above the ceiling ────── nearly all ended in good time, and the bound was needed

Without a bound an overloaded server takes everything in, everything waits for everything else, and all of it is late:
it then works for callers who have gone. The excess is told at once to come back instead. Reads, writes, streams and
administration have bounds of their own, so that an import does not shut searches out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from memory_grpc.errors import DeadlineExceeded, Overloaded, StoreUnavailable
from memory_grpc.interceptors.call import Call
from memory_grpc.observability import metrics

# A call that needed more than this share of its time was late: the next one, behind it, may not make it.
LATE_SHARE = 0.5
LATE_CALLS = 0.1
BACK_OFF = 0.8


class Bound:
    """How many calls may be inside; changed once for each bound's worth of calls that ended."""

    def __init__(self, floor: int, ceiling: int) -> None:
        self._floor = float(min(floor, ceiling))
        self._ceiling = float(ceiling)
        self._limit = self._ceiling
        self._ended = 0
        self._late = 0
        self._needed = False
        self.inside = 0

    @property
    def limit(self) -> int:
        """Calls that may be inside now."""
        return int(self._limit)

    def is_full(self) -> bool:
        """Whether there is no place for a call that asks for one."""
        if self.inside < self.limit:
            return False
        self._needed = True
        return True

    def enter(self) -> bool:
        """Takes a place; False when there is none."""
        if self.is_full():
            return False
        self.inside += 1
        return True

    def leave(self, share: float | None) -> None:
        """Gives the place back. ``share`` of its time was used; None when the call says nothing about the load."""
        self.inside -= 1
        if share is None:
            return
        self._ended += 1
        self._late += share > LATE_SHARE
        if self._ended < self.limit:
            return
        if self._late > LATE_CALLS * self._ended:
            self._limit = max(self._floor, self._limit * BACK_OFF)
        elif self._needed:
            self._limit = min(self._ceiling, self._limit + 1)
        self._ended, self._late, self._needed = 0, 0, False


class ConcurrencyLimiter:
    """A bound for each kind of call. ``seconds`` is what a unary call gets at most."""

    def __init__(self, *, floor: int, ceiling: int, seconds: float) -> None:
        self._seconds = seconds
        self._away_at = float("-inf")
        self.bounds = {kind: Bound(floor, ceiling) for kind in ("read", "write", "stream", "admin")}

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Raises Overloaded when the call's kind has no place left; probes and reflection always pass."""
        if call.is_probe:
            yield
            return
        # What does not exist is refused further in, and counts as administration until then.
        kind = call.facts.kind or "admin"
        bound = self.bounds[kind]
        if not bound.enter():
            metrics.CALLS_SHED.labels(kind).inc()
            call.was_shed = True
            raise Overloaded
        asked = call.context.time_remaining()
        allowed = self._seconds if asked is None else min(self._seconds, asked)
        started = time.monotonic()
        share: float | None = None
        try:
            yield
            share = (time.monotonic() - started) / max(allowed, 1e-3)
        except DeadlineExceeded:
            share = 1.0
            raise
        except StoreUnavailable:
            self._away_at = time.monotonic()
            raise
        except asyncio.CancelledError:
            # A client that goes early has changed its mind; one that goes late has waited in vain.
            share = (time.monotonic() - started) / max(allowed, 1e-3)
            raise
        finally:
            # Late because the database was away: fewer calls inside would not have made it come back sooner.
            if self._away_at >= started:
                share = None
            # A stream lasts as long as its client likes, and a sweep by hand as long as there is something to sweep.
            bound.leave(share if kind in ("read", "write") else None)

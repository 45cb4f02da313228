"""Refuses at the door what this server cannot finish in time: a bound on the calls inside, which follows the load.

::

    bound ◀── × 0.8, not below the floor ────── one in ten of the last calls used more than half of its time,
                                                of a second at least: who gives a call less has not been waited for
          ◀── + 1, not above the ceiling ────── nearly all ended in good time, and the bound was needed

Without a bound an overloaded server takes everything in, everything waits for everything else, and all of it is late:
it then works for callers who have gone. The excess is told at once to come back instead. Reads, writes, streams and
administration have bounds of their own, so that an import does not shut searches out.

The last eighth of the places is for callers who have less than an even share of them, counted as if there were one
caller more, so that whoever comes finds a place. One caller alone gets seven eighths, and up to five who want all there
is get no more together. A caller is first whoever shows a key or comes by a connection; who it is turns out further in,
see ``share.py``.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import NoReturn

from memory_grpc import accounts
from memory_grpc.errors import DeadlineExceeded, Overloaded, StoreUnavailable
from memory_grpc.interceptors.authenticate import shown
from memory_grpc.interceptors.call import Call
from memory_grpc.observability import metrics

# A call that needed more than this share of its time was late: the next one, behind it, may not make it.
LATE_SHARE = 0.5
LATE_CALLS = 0.1
BACK_OFF = 0.8
# Nobody can say of a call that got less that the server was late: otherwise deadlines of a few milliseconds would close
# the door to everybody.
LEAST_SECONDS = 1.0
# The part of the places that is kept for callers who have few.
RESERVED = 0.125
# Keys of which it is remembered whose they are.
_MOST_KNOWN = 10_000


class Bound:
    """How many calls may be inside; changed once for each bound's worth of calls that ended."""

    def __init__(self, floor: int, ceiling: int) -> None:
        self._floor = float(min(floor, ceiling))
        self._ceiling = float(ceiling)
        self._limit = self._ceiling
        self._ended = 0
        self._late = 0
        self._needed = False
        self._callers: Counter[Hashable] = Counter()
        self.inside = 0

    @property
    def limit(self) -> int:
        """Calls that may be inside now."""
        return int(self._limit)

    def is_full(self, caller: Hashable = None) -> bool:
        """Whether there is no place for a call that asks for one, of a caller who is known or not yet."""
        if self.inside < self.limit and (caller is None or self._has_room(caller, self.inside + 1)):
            return False
        self._needed = True
        return True

    def enter(self, caller: Hashable = None) -> bool:
        """Takes a place; False when there is none."""
        if self.is_full(caller):
            return False
        self.inside += 1
        self._count(caller, 1)
        return True

    def may_stay(self, caller: Hashable, before: Hashable = None) -> bool:
        """Whether a call that is inside may go on, now that it is known whose it is; ``before`` is who it seemed to
        be of."""
        if not self._has_room(caller, self.inside):
            self._needed = True
            return False
        self._count(before, -1)
        self._count(caller, 1)
        return True

    def _has_room(self, caller: Hashable, inside: int) -> bool:
        """Whether a call of the caller's may be the last of so many."""
        callers = len(self._callers) + (caller not in self._callers)
        return inside <= self.limit - int(self.limit * RESERVED) or self._callers[caller] < self.limit / (callers + 1)

    def _count(self, caller: Hashable, change: int) -> None:
        if caller is not None:
            self._callers[caller] += change
            if not self._callers[caller]:
                del self._callers[caller]

    def leave(self, share: float | None, caller: Hashable = None) -> None:
        """Gives the caller's place back. ``share`` of the call's time was used; None when it says nothing about the
        load."""
        self.inside -= 1
        self._count(caller, -1)
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
    """A bound for each kind of call. ``seconds`` is what a unary call gets at most; times are by ``clock``."""

    def __init__(
        self, *, floor: int, ceiling: int, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._away_at = float("-inf")
        self._known: OrderedDict[str, Hashable] = OrderedDict()
        self.bounds = {kind: Bound(floor, ceiling) for kind in ("read", "write", "stream", "admin")}
        for kind, bound in self.bounds.items():
            metrics.CALLS_PLACES.labels(kind).set_function(partial(getattr, bound, "limit"))

    def is_full(self, kind: str, metadata: Mapping[str, str]) -> bool:
        """Whether a call of this kind, of whoever shows this metadata, would be refused for certain."""
        return self.bounds[kind].is_full(self._seems(metadata))

    def admit(self, call: Call, caller: Hashable) -> None:
        """Raises Overloaded when a call that is inside is of a caller who has too many there."""
        grant = call.grant
        if grant is not None and grant.tenants is not None and len(grant.tenants) == 1:
            # The key tells: its next call that is one too many is refused before anything is spent on it.
            key = shown(call.metadata)
            self._known[key] = caller
            self._known.move_to_end(key)
            if len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        kind = call.facts.kind or "admin"
        if caller != call.caller and not self.bounds[kind].may_stay(caller, call.caller):
            self._refuse(call, kind)
        call.caller = caller

    def _seems(self, metadata: Mapping[str, str]) -> Hashable:
        """Whose call it is, as far as its key tells before it is looked at; None without one."""
        key = shown(metadata)
        return self._known.get(key, key) if key else None

    def _refuse(self, call: Call, kind: str) -> NoReturn:
        metrics.CALLS_SHED.labels(kind).inc()
        call.was_shed = True
        raise Overloaded

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Raises Overloaded when the call's kind has no place left; probes and reflection always pass."""
        if call.is_probe:
            yield
            return
        # What does not exist is refused further in, and counts as administration until then.
        kind = call.facts.kind or "admin"
        bound = self.bounds[kind]
        call.caller = self._seems(call.metadata) or call.context.peer()
        if not bound.enter(call.caller):
            self._refuse(call, kind)
        accounts.enter(call.caller)
        asked = call.context.time_remaining()
        allowed = max(LEAST_SECONDS, self._seconds if asked is None else min(self._seconds, asked))
        started = self._clock()
        tells = False
        try:
            yield
            tells = True
        except StoreUnavailable:
            self._away_at = self._clock()
            raise
        except (DeadlineExceeded, asyncio.CancelledError):
            # A client that goes early has changed its mind; one that goes late has waited in vain. Who has shown no key
            # yet has not waited for what is behind it.
            tells = call.grant is not None
            raise
        finally:
            # Late because the database was away: fewer calls inside would not have made it come back sooner.
            tells = tells and self._away_at < started
            # A stream lasts as long as its client likes, and a sweep by hand as long as there is something to sweep.
            tells = tells and kind in ("read", "write")
            # Nor has the server made it wait for others of its caller's.
            seconds = self._clock() - started - call.seconds_at_door
            bound.leave(seconds / allowed if tells else None, call.caller)

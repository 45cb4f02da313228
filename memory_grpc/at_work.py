"""Calls at work: of one caller beside others a few at a time, so that the event loop comes round to everybody soon.

The loop takes what is ready in the order in which it came. Each step of a call is short, but a call takes some twenty,
and waits in front of each for one of every other call that is under way. So a caller of whom fifty calls are under way
makes everybody's take fifty times as long, however little of the database or the model each may have. The further
calls of a caller wait at the door, where they cost nothing, until one ends or waits for something else than the loop:
for the model, for a reranker, for messages of several calls to be committed. That is done together, the more the
better.

Only of reads and writes of one answer: streams come as fast as they are read, and administration may take minutes.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from contextvars import ContextVar

import structlog

from memory_grpc.fair_places import FairPlaces
from memory_grpc.lately import Lately

log = structlog.get_logger(__name__)

_LONG_SECONDS = 0.1
_TOLD_EVERY_SECONDS = 60.0


class AtWork:
    """Places of a server process: ``few`` for a caller beside others who came lately, ``most`` for one alone."""

    def __init__(self, few: int, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._lately = Lately(clock)
        self._clock = clock
        self._told_at = float("-inf")
        self._places = FairPlaces(most, each=lambda caller: few if self._lately.others_than((caller,)) else most)

    @property
    def waiting(self) -> int:
        """Calls that wait for a place."""
        return self._places.waiting

    @asynccontextmanager
    async def of(self, caller: Hashable, waited: Callable[[float], None] = lambda seconds: None) -> AsyncIterator[None]:
        """A place for a call of the caller's, as soon as one is free. ``waited`` is told the seconds of each wait for
        one, however it ends."""
        self._lately.came(caller)
        place = _Place(self, caller, waited)
        await place.take()
        token = _place.set(place)
        try:
            yield
        finally:
            _place.reset(token)
            place.give()

    async def take(self, caller: Hashable, waited: Callable[[float], None]) -> None:
        """Takes a place, which is to be given back."""
        began = self._clock()
        try:
            await self._places.take(caller)
        finally:
            seconds = self._clock() - began
            waited(seconds)
            if seconds >= _LONG_SECONDS:
                self._tell(caller)

    def give(self, caller: Hashable) -> None:
        """Gives a place back."""
        self._places.give(caller)

    def _tell(self, caller: Hashable) -> None:
        """Whose calls wait for each other while others come, once a minute at most."""
        now = self._clock()
        if now - self._told_at >= _TOLD_EVERY_SECONDS:
            self._told_at = now
            places = self._places
            log.warning("work_share_met", caller=str(caller), at_work=places.held[caller], waiting=places.waits(caller))


class _Place:
    """Of one call, which has it but for the time that it waits for something else."""

    def __init__(self, at_work: AtWork, caller: Hashable, waited: Callable[[float], None]) -> None:
        self._at_work = at_work
        self._caller = caller
        self._waited = waited
        self._is_held = False

    def give(self) -> None:
        if self._is_held:
            self._is_held = False
            self._at_work.give(self._caller)

    async def take(self) -> None:
        await self._at_work.take(self._caller, self._waited)
        self._is_held = True


_place: ContextVar[_Place | None] = ContextVar("place", default=None)


@asynccontextmanager
async def paused() -> AsyncIterator[None]:
    """The call that runs in this context waits for something else than the loop: another of its caller's has its place
    meanwhile. Around any time limit of that wait, as what follows it waits for the place again, after an error too."""
    place = _place.get()
    if place is None:
        yield
        return
    place.give()
    try:
        yield
    except Exception:
        await place.take()
        raise
    await place.take()

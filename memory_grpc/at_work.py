"""Calls at work: of one caller beside others a few at a time, so that the event loop comes round to everybody soon.

The loop takes what is ready in the order in which it came. Each step of a call is short, but a call takes some twenty,
and waits in front of each for one of every other call that is under way. So a caller of whom fifty calls are under way
makes everybody's take fifty times as long, however little of the database or the model each may have. The further
calls of a caller wait at the door, where they cost nothing, until one ends or waits for the model: what waits for that
is embedded together, the more the better.

Only of reads and writes of one answer: streams come as fast as they are read, and administration may take minutes.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from contextvars import ContextVar

from memory_grpc.fair_places import FairPlaces
from memory_grpc.lately import Lately


class AtWork:
    """Places of a server process: ``few`` for a caller beside others who came lately, any number for one alone."""

    def __init__(self, few: int, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._lately = Lately(clock)
        self._places = FairPlaces(most, each=lambda caller: few if self._lately.others_than((caller,)) else most)

    @asynccontextmanager
    async def of(self, caller: Hashable) -> AsyncIterator[None]:
        """A place for a call of the caller's, as soon as one is free."""
        self._lately.came(caller)
        await self._places.take(caller)
        place = _Place(self._places, caller)
        token = _place.set(place)
        try:
            yield
        finally:
            _place.reset(token)
            place.give()


class _Place:
    def __init__(self, places: FairPlaces, caller: Hashable) -> None:
        self._places = places
        self._caller = caller
        self._is_held = True

    def give(self) -> None:
        if self._is_held:
            self._is_held = False
            self._places.give(self._caller)

    async def take(self) -> None:
        await self._places.take(self._caller)
        self._is_held = True


_place: ContextVar[_Place | None] = ContextVar("place", default=None)


@asynccontextmanager
async def paused() -> AsyncIterator[None]:
    """The call that runs in this context waits for something else than the loop: another of its caller's has its place
    meanwhile. After an error it goes on without one: it has nothing left to do but to end."""
    place = _place.get()
    if place is None:
        yield
        return
    place.give()
    yield
    await place.take()

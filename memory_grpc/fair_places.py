"""Places that callers take in turns: next is who has fewest, and of those who has had least.

So of callers who want more than there is each gets as many as every other, whatever they send, and who comes with one
call waits for one place to become free. Nobody takes all of them, whether others wait or not: what is held is not taken
back, so that a few places are kept for who comes next. For use on the event loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager

Waiting = asyncio.Future[None]


class LineFull(Exception):
    """There is no room to wait in."""

    def __init__(self, *, is_own: bool) -> None:
        """``is_own``: the caller's own calls fill it, and others wait, too."""
        super().__init__()
        self.is_own = is_own


class FairPlaces:
    """So many places; one caller has at most as many of them as ``each`` says, and ``most_waiting`` calls may wait."""

    def __init__(
        self,
        size: int,
        *,
        each: Callable[[Hashable], int],
        most_waiting: int | None = None,
        used: Callable[[Hashable], float] = lambda caller: 0.0,
    ) -> None:
        """``used`` is what a caller has had lately. ``each`` may change: what is held is not taken back."""
        self._free = size
        self._each = each
        self._most = most_waiting
        self._used = used
        self._lines: dict[Hashable, deque[Waiting]] = {}
        self._waiting = 0
        self.held: Counter[Hashable] = Counter()
        """Places that callers have."""

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return self._waiting

    def waits(self, caller: Hashable) -> int:
        """Calls of the caller's that wait."""
        return len(self._lines.get(caller, ()))

    @asynccontextmanager
    async def of(self, caller: Hashable) -> AsyncIterator[None]:
        """A place for as long as the block lasts. Raises LineFull."""
        await self.take(caller)
        try:
            yield
        finally:
            self.give(caller)

    async def take(self, caller: Hashable) -> None:
        """Takes a place, which is to be given back. Raises LineFull."""
        self._serve()  # what ``each`` says may have grown since a place was given back
        if self._free and self.held[caller] < self._each(caller) and caller not in self._lines:
            self._hold(caller)
            return
        self._make_room(caller)
        future: Waiting = asyncio.get_running_loop().create_future()
        self._lines.setdefault(caller, deque()).append(future)
        self._waiting += 1
        try:
            await future
        except BaseException:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give(caller)  # it had just got one
            elif future in self._lines.get(caller, ()):
                self._leave(caller, future)
            raise

    def give(self, caller: Hashable) -> None:
        """Gives a place back, to whoever is next."""
        self.held[caller] -= 1
        if not self.held[caller]:
            del self.held[caller]
        self._free += 1
        if caller in self._lines:
            self._lines[caller] = self._lines.pop(caller)
        self._serve()

    def _serve(self) -> None:
        """Gives what is free to those who wait and may have more."""
        while self._free and (ready := [one for one in self._lines if self.held[one] < self._each(one)]):
            # Of equals, who has waited longest since a place of theirs ended.
            after = min(ready, key=lambda one: (self.held[one], self._used(one)))
            future = self._lines[after][0]
            self._leave(after, future)
            if not future.done():
                self._hold(after)
                future.set_result(None)

    def _hold(self, caller: Hashable) -> None:
        self._free -= 1
        self.held[caller] += 1

    def _leave(self, caller: Hashable, future: Waiting) -> None:
        self._waiting -= 1
        self._lines[caller].remove(future)
        if not self._lines[caller]:
            del self._lines[caller]

    def _make_room(self, caller: Hashable) -> None:
        """Where the line is full, the newest call of whoever has most in it leaves, or the one that comes."""
        if self._most is None or self._waiting < self._most:
            return
        longest = max(self._lines, key=lambda one: len(self._lines[one]))
        own = len(self._lines.get(caller, ()))
        if len(self._lines[longest]) <= own + 1:
            raise LineFull(is_own=own > 0 and len(self._lines) > 1)
        newest = self._lines[longest][-1]
        self._leave(longest, newest)
        if not newest.done():
            newest.set_exception(LineFull(is_own=True))

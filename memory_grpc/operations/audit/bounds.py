"""How much of what strangers can cause is recorded: the same thing once a minute, and so many different ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class OncePer:
    """Remembers what it has seen within the last ``seconds``, the last ``most`` things at most."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._seen: OrderedDict[Hashable, float] = OrderedDict()

    def is_new(self, thing: Hashable, now: float) -> bool:
        """Whether it was not seen for so long; it is seen now."""
        seen = self._seen.get(thing)
        if seen is not None and now - seen < self._seconds:
            return False
        self._seen[thing] = now
        self._seen.move_to_end(thing)
        if len(self._seen) > self._most:
            self._seen.popitem(last=False)
        return True


class Budget:
    """So many a minute, which come back one by one."""

    def __init__(self, per_minute: int) -> None:
        self._per_second = per_minute / 60
        self._most = float(per_minute)
        self._left = self._most
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Whether there is one left; it is taken."""
        if self._at is not None:
            self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

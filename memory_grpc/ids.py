"""Ids of messages: UUIDv7 (RFC 9562), in the order in which this process made them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

_COUNTER_BITS = 12 + 30
_RANDOM_BITS = 32
_DRAWN_BYTES = 4096


def moment_of(id_: UUID) -> datetime | None:
    """When an id was made, to the millisecond, by the clock of who made it; None of an id of another version."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, UTC) if id_.version == 7 else None


class RandomBytes:
    """``os.urandom``, drawn ahead: each call of the system lets another thread have the interpreter. Not for several
    threads, nor for both sides of a fork."""

    def __init__(self, draw: Callable[[int], bytes] = os.urandom) -> None:
        self._draw = draw
        self._drawn = memoryview(b"")

    def __call__(self, count: int) -> bytes:
        """So many bytes, at most 4096."""
        if len(self._drawn) < count:
            self._drawn = memoryview(self._draw(_DRAWN_BYTES))
        given, self._drawn = self._drawn[:count], self._drawn[count:]
        return bytes(given)


class Uuid7:
    """Makes ids, each higher than the last one; not for several threads.

    48 bits of the time in milliseconds, a counter of 42 that begins anew, at random in its lower half, with each
    millisecond, and 32 random bits. A clock that goes back, or more ids than the counter has room for, hold the time
    where it is or move it on by one.
    """

    def __init__(
        self,
        milliseconds: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random_bytes: Callable[[int], bytes] | None = None,
    ) -> None:
        self._milliseconds = milliseconds
        self._random_bytes = random_bytes or RandomBytes()
        self._last = -1
        self._counter = 0

    def __call__(self) -> UUID:
        """The next id."""
        now = self._milliseconds()
        bits = int.from_bytes(self._random_bytes(10), "big")
        if now > self._last:
            self._last, self._counter = now, (bits >> _RANDOM_BITS) & (2 ** (_COUNTER_BITS - 1) - 1)
        else:
            self._counter += 1
            if self._counter >= 2**_COUNTER_BITS:
                self._last, self._counter = self._last + 1, 0
        high, low = divmod(self._counter, 2**30)
        tail = bits & (2**_RANDOM_BITS - 1)
        return UUID(int=self._last << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low << _RANDOM_BITS | tail)

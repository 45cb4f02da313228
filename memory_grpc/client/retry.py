"""When a call is tried again, and after how long. Knows no clock and no channel: whoever calls lends it both.

A failure is passing when the service says when to come back, when nobody answers, or when an attempt ran out of time.
Of those the first has done nothing, so any call may be repeated. After the other two nobody knows what was done, and a
call is repeated only if its contract says that this does no harm (``idempotency_level`` beside the RPC).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from memory_grpc.client.errors import DeadlineExceeded, MemoryServiceError, ResourceExhausted, Unavailable


@dataclass(frozen=True, slots=True)
class Retry:
    """How patient a client is. ``attempts`` includes the first one: 1 disables retries.

    Pauses double from ``first_pause_seconds`` to ``longest_pause_seconds``. Each is shortened at random, by at most
    half, so that clients do not all come back at once. No pause is shorter than the service asks for.
    """

    attempts: int = 5
    first_pause_seconds: float = 0.1
    longest_pause_seconds: float = 5.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or not 0 <= self.first_pause_seconds <= self.longest_pause_seconds:
            raise ValueError(
                "retry: attempts must be at least 1, and 0 <= first_pause_seconds <= longest_pause_seconds"
            )


class Attempts:
    """The attempts of one call, which share one deadline: ``timeout_seconds`` from now by ``clock``.

    ``each_seconds`` bounds each of them besides. After ``patience_seconds`` no other is begun; one that goes on has its
    time.
    """

    def __init__(
        self,
        retry: Retry,
        timeout_seconds: float | None,
        *,
        is_repeatable: bool,
        clock: Callable[[], float],
        chance: Callable[[], float] = random.random,
        each_seconds: float = math.inf,
        patience_seconds: float = math.inf,
    ) -> None:
        self._retry = retry
        self._is_repeatable = is_repeatable
        self._clock = clock
        self._chance = chance
        self._ends = None if timeout_seconds is None else clock() + timeout_seconds
        self._each = each_seconds
        self._gives_up = clock() + patience_seconds
        self._made = 0
        self._pause = retry.first_pause_seconds

    def left(self) -> float | None:
        """Seconds for the next attempt; None without a bound."""
        left = min(self._each, self._left())
        return None if left == math.inf else left

    def _left(self) -> float:
        return math.inf if self._ends is None else max(0.0, self._ends - self._clock())

    def progress(self) -> None:
        """Something came: of a stream, what fails from now on fails for the first time."""
        self._made = 0
        self._pause = self._retry.first_pause_seconds

    def pause_after(self, error: MemoryServiceError) -> float:
        """Seconds to wait before the next attempt. Raises the error when there is none."""
        self._made += 1
        if self._made >= self._retry.attempts or not self._is_passing(error):
            raise error
        pause = max(error.retry_after or 0.0, self._pause * (0.5 + self._chance() / 2))
        if pause >= min(self._left(), self._gives_up - self._clock()):
            raise error
        self._pause = min(2 * self._pause, self._retry.longest_pause_seconds)
        return pause

    def _is_passing(self, error: MemoryServiceError) -> bool:
        if isinstance(error, ResourceExhausted):
            return error.retry_after is not None
        return self._is_repeatable and isinstance(error, Unavailable | DeadlineExceeded)

"""When to try a remote model again, and when to leave it alone. Clock and randomness are arguments."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays, half of each random, so that replicas do not come back in step."""

    base_seconds: float = 0.5
    cap_seconds: float = 20.0

    def delay(self, attempt: int, random: Callable[[], float]) -> float:
        """Seconds before the next try, after try number ``attempt`` (from 0) failed; ``random`` gives [0, 1)."""
        full = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt, 60))
        return full * (0.5 + 0.5 * random())


class CircuitBreaker:
    """Stops asking a service that keeps failing.

    ::

        closed ──threshold failures in a row──▶ open ──cool-down──▶ half-open ──success──▶ closed
                                                  ▲                     │ one trial at a time
                                                  └──────failure────────┘
    """

    def __init__(self, *, threshold: int, cooldown_seconds: float, clock: Callable[[], float]) -> None:
        self._threshold = threshold
        self._cooldown = cooldown_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._retry_at: float | None = None

    def allow(self) -> bool:
        """Whether to ask now. True while half-open is the one trial; the next comes a cool-down later."""
        with self._lock:
            if self._retry_at is None:
                return True
            now = self._clock()
            if now < self._retry_at:
                return False
            # Booking the trial by time, not by a flag, frees the place even if the trial's thread never reports back.
            self._retry_at = now + self._cooldown
            return True

    def succeeded(self) -> None:
        """The service answered."""
        with self._lock:
            self._failures = 0
            self._retry_at = None

    def failed(self) -> None:
        """The service did not answer."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._threshold:
                self._retry_at = self._clock() + self._cooldown

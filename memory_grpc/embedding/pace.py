"""How long a batch may take while several tenants come: whoever comes next waits for the one that the model is at.

Of one tenant alone a batch is as long as the provider likes. Once another has come lately, each tenant's part of a
batch is what the model does in SECONDS, or in a few times its shortest batch: where most of a batch's time is a way
over the network, or the start of a kernel, shorter ones would not be sooner done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

SECONDS = 0.015
"""Of the model, for each tenant in a batch."""
_SHORTEST_TIMES = 3.0
LATELY_SECONDS = 10.0
# What is known of the model follows what it does: a processor may be shared, and a service be busy.
_KEPT = 0.8
_SHORTEST_GROWS = 1.01


class Pace:
    """One kind of calls. Times are by ``clock``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: tuple[str, float] | None = None  # the tenant that came last, and when
        self._other: tuple[str, float] | None = None  # the last that was another
        self._length = self._seconds = 0.0  # of the last batches of one thread: their ratio is its rate
        self._shortest = float("inf")  # seconds

    def came(self, tenant: str) -> None:
        """A call of a tenant's has come."""
        if self._last is not None and self._last[0] != tenant:
            self._other = self._last
        self._last = tenant, self._clock()

    def took(self, length: int, seconds: float) -> None:
        """A batch of such a length took so many seconds."""
        seconds = max(seconds, 1e-6)
        self._length = _KEPT * self._length + length
        self._seconds = _KEPT * self._seconds + seconds
        self._shortest = min(seconds, _SHORTEST_GROWS * self._shortest)

    def longest(self, tenants: Collection[str]) -> float:
        """The length of a batch of these tenants' at most; infinite where nobody else has come lately."""
        if not self._length or (len(tenants) == 1 and not self._others_come(tenants)):
            return float("inf")
        return len(tenants) * self._length / self._seconds * max(SECONDS, _SHORTEST_TIMES * self._shortest)

    def _others_come(self, tenants: Collection[str]) -> bool:
        after = self._clock() - LATELY_SECONDS
        return any(
            came is not None and came[0] not in tenants and came[1] > after for came in (self._last, self._other)
        )

"""How long a batch may take while several tenants come: whoever comes next waits for the one that the model is at.

Of one tenant alone a batch is as long as the provider likes. Once another has come lately, each tenant's part of a
batch is what the model does in SECONDS, or in twice what it takes for any batch: where that is a way over the network,
or the start of a kernel, shorter ones would not be sooner done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from memory_grpc.lately import Lately

SECONDS = 0.015
"""Of the model, for each tenant in a batch."""
_FIXED_TIMES = 2.0
# What is known of the model follows what it does: a processor may be shared, and a service be busy.
_KEPT = 0.98


class Pace:
    """One kind of calls. Times are by ``clock``.

    Batches take ``fixed`` + ``each`` x length seconds: the line of least squares through the last fifty or so, older
    ones counting less.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.lately = Lately(clock)
        self._batches = self._length = self._seconds = self._squares = self._products = 0.0

    def took(self, length: int, seconds: float) -> None:
        """A batch of such a length, of one or more, was embedded in so many seconds of one thread."""
        self._batches = _KEPT * self._batches + 1
        self._length = _KEPT * self._length + length
        self._seconds = _KEPT * self._seconds + seconds
        self._squares = _KEPT * self._squares + length * length
        self._products = _KEPT * self._products + length * seconds

    def longest(self, tenants: Collection[str]) -> float:
        """The length of a batch of these tenants' at most; infinite where nobody else has come lately."""
        if not self._batches or (len(tenants) == 1 and not self.lately.others_than(tenants)):
            return float("inf")
        fixed, each = self._line()
        return len(tenants) * max(SECONDS, _FIXED_TIMES * fixed) / each if each > 0 else float("inf")

    def _line(self) -> tuple[float, float]:
        length, seconds = self._length / self._batches, self._seconds / self._batches
        spread = self._squares / self._batches - length * length
        each = seconds / length
        if spread > 1e-6 * length * length:  # batches of one length tell nothing of what is fixed
            each = min(each, max(0.0, (self._products / self._batches - length * seconds) / spread))
        return seconds - each * length, each

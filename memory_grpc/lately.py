"""Whether several tenants come: who came last, and the last that was another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable

SECONDS = 10.0
"""What is longer ago is not lately."""


class Lately:
    """Tenants, or callers, that came, by ``clock``."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last: tuple[Hashable, float] | None = None
        self._other: tuple[Hashable, float] | None = None

    def came(self, tenant: Hashable) -> None:
        """A call of a tenant's has come."""
        if self._last is not None and self._last[0] != tenant:
            self._other = self._last
        self._last = tenant, self._clock()

    def others_than(self, tenants: Collection[Hashable]) -> bool:
        """Whether a tenant that is none of these came within SECONDS."""
        after = self._clock() - SECONDS
        return any(
            came is not None and came[0] not in tenants and came[1] > after for came in (self._last, self._other)
        )

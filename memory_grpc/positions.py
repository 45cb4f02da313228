"""How far a copy of the database has to have come for a read to see what was written before it.

A position is a place in Postgres' write-ahead log: an LSN, here as a whole number, and ``16/B374D848`` in headers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from string import hexdigits
from typing import TypeVar

from memory_grpc.errors import CopyUnavailable

T = TypeVar("T")

# Behind anything that was ever written.
UNKNOWN = 2**64 - 1

_least: ContextVar[int] = ContextVar("least_position", default=0)


def parse(text: str) -> int:
    """The position that a header or Postgres spells so. Raises ValueError."""
    high, slash, low = text.partition("/")
    if not (slash and 1 <= len(high) <= 8 and 1 <= len(low) <= 8):
        raise ValueError("an LSN is two hexadecimal numbers with a slash between them")
    if not set(high + low) <= set(hexdigits):  # int() would take signs, blanks, underscores and 0x
        raise ValueError("an LSN has nothing but hexadecimal digits and a slash")
    return int(high, 16) << 32 | int(low, 16)


def spelled(position: int) -> str:
    """As Postgres spells it."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def require(position: int) -> None:
    """The reads of the call that runs in this context, from here on, see all that was written up to there."""
    _least.set(max(position, _least.get()))


async def read(once: Callable[[], Awaitable[T]]) -> T:
    """What ``once`` reads. Where a copy of the database fails it, it is asked once more, of the primary, as is all that
    the call reads from there on."""
    try:
        return await once()
    except CopyUnavailable:
        require(UNKNOWN)
        return await once()


def least() -> int:
    """What the call that runs in this context asks for; 0 for nothing."""
    return _least.get()


class Written:
    """Where what this server wrote for tenants ended. Positions only grow.

    Of the tenants that were written for longest ago it knows no more than that theirs is not behind ``_forgotten``.
    """

    def __init__(self, remembered: int = 10_000) -> None:
        self._by_tenant: OrderedDict[str, int] = OrderedDict()
        self._remembered = remembered
        self._forgotten = 0
        self.last = 0
        """Of all tenants: no write of this server's ended after it, but for such as could not be asked for."""

    def note(self, tenant: str, position: int) -> None:
        """A write for a tenant has ended at or before that position; UNKNOWN until the next one says more."""
        known = self._by_tenant.get(tenant, 0)
        # Of two that are noted out of order the later one counts.
        self._by_tenant[tenant] = position if UNKNOWN in (known, position) else max(known, position)
        self._by_tenant.move_to_end(tenant)
        if position != UNKNOWN:
            self.last = max(self.last, position)
        if len(self._by_tenant) > self._remembered:
            _, ended = self._by_tenant.popitem(last=False)
            # Others have written since, so that one that could not be asked for ended before the last of theirs.
            self._forgotten = max(self._forgotten, min(ended, self.last))

    def of(self, tenant: str | None) -> int:
        """What a read has to see to see all that was written for a tenant here; for any tenant when it is None."""
        if tenant is None:
            return self.last
        return self._by_tenant.get(tenant, self._forgotten)

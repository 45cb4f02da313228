"""Whose call it is, and whether they have too many inside: no tenant takes all the places there are.

A caller is a tenant; where no tenant is named, a key; and without keys, an address, since who has none may name any
tenant. It is known once the request is. Streams may send none, and are told apart by what their key may do.

Health's Watch and reflection need no key and last as long as their client likes: each address has so many of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

from memory_grpc import accounts
from memory_grpc.errors import Overloaded
from memory_grpc.interceptors.call import Call
from memory_grpc.interceptors.concurrency import ConcurrencyLimiter

MOST_WATCHES = 64
"""Streams of health and reflection from one address: a few for each of a host's processes."""

_TOO_MANY = "Too many health and reflection streams are open from this address; close some."


class Share:
    """Gives each caller a share of the places of ``door``."""

    def __init__(self, door: ConcurrencyLimiter) -> None:
        self._door = door
        self._watching: Counter[str] = Counter()

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Raises Overloaded when a stream is one too many of its caller's."""
        if call.kind == "unary":
            yield
        elif call.is_probe:
            with self._one_of_few(call):
                yield
        else:
            self.admit(call, ())
            yield

    def admit(self, call: Call, tenants: Iterable[str]) -> None:
        """The same for a call whose request names some tenants."""
        if not call.is_probe:
            self._door.admit(call, _caller(call, tenants))
            accounts.enter(call.caller)

    @contextmanager
    def _one_of_few(self, call: Call) -> Iterator[None]:
        if self._watching[call.client] >= MOST_WATCHES:
            call.was_shed = True
            raise Overloaded(_TOO_MANY)
        self._watching[call.client] += 1
        try:
            yield
        finally:
            self._watching[call.client] -= 1
            if not self._watching[call.client]:
                del self._watching[call.client]


def _caller(call: Call, tenants: Iterable[str]) -> Hashable:
    grant = call.grant
    if grant is None or grant.is_anonymous:
        return call.client
    return frozenset(tenants) - {""} or grant.tenants or grant.actor

"""Whose call it is, and whether they have too many inside: no tenant takes all the places there are.

A caller is a tenant; where no tenant is named, a key; and without keys, an address, since who has none may name any
tenant. It is known once the request is. Streams may send none, and are told apart by what their key may do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterable
from contextlib import asynccontextmanager

from memory_grpc.interceptors.authenticate import HEADER
from memory_grpc.interceptors.call import Call
from memory_grpc.interceptors.concurrency import ConcurrencyLimiter


class Share:
    """Gives each caller a share of the places of ``door``."""

    def __init__(self, door: ConcurrencyLimiter) -> None:
        self._door = door

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Raises Overloaded when a stream is one too many of its caller's."""
        if call.kind != "unary":
            self.admit(call, ())
        yield

    def admit(self, call: Call, tenants: Iterable[str]) -> None:
        """The same for a call whose request names some tenants."""
        if not call.is_probe:
            self._door.admit(call, _caller(call, tenants))


def _caller(call: Call, tenants: Iterable[str]) -> Hashable:
    grant = call.grant
    if grant is None or grant.is_anonymous:
        return call.client
    return frozenset(tenants) - {""} or grant.tenants or call.metadata[HEADER]

"""Whose transaction is next to get a connection: tenants take turns, by how many they hold and the time they have had.

A tenant has three quarters of the connections at most, so that the first call of another finds one; a quarter once
another has come lately. Postgres ends no transaction for another's sake and shares the processors evenly among those at
work, so that each of a tenant's slow searches makes everybody else's statements slower, whether others wait or not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Protocol

import structlog
from psycopg_pool import PoolTimeout, TooManyRequests

from memory_grpc import accounts as accounting
from memory_grpc.accounts import ACCOUNTS, Accounts
from memory_grpc.errors import DatabaseQueueFull
from memory_grpc.fair_places import FairPlaces, LineFull
from memory_grpc.lately import Lately
from memory_grpc.observability import metrics
from memory_grpc.store.opening import Tenant

log = structlog.get_logger(__name__)

_TOLD_EVERY_SECONDS = 60.0


class Share(Protocol):
    """Of so many connections those that one tenant may hold, and whether ``others`` came lately."""

    def __call__(self, size: int, *, others: bool) -> int: ...


def most_of_one(size: int, *, others: bool) -> int:
    """Of so many connections for calls those that one tenant may hold; ``others``: have come lately."""
    return _quarter(size) if others else all_but_a_quarter(size)


def all_but_a_quarter(size: int, *, others: bool = False) -> int:
    """The same for work that may need two connections at once, also while others come."""
    return max(1, size - _quarter(size))


def _quarter(size: int) -> int:
    return max(1, size // 4)


class ConnectionTurns:
    """Turns at so many connections, for which ``most_waiting`` transactions may wait; without a size, only accounts."""

    def __init__(
        self,
        size: int = 0,
        most_waiting: int = 0,
        share: Share = most_of_one,
        accounts: Accounts = ACCOUNTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = accounts
        self._clock = clock
        self._told_at = float("-inf")
        self._size = size
        self._share = share
        self._lately = Lately(clock)
        self._places = (
            FairPlaces(size, each=self._most, most_waiting=most_waiting, used=self._seconds) if size else None
        )

    @asynccontextmanager
    async def of(self, tenant: Tenant, patience: float) -> AsyncIterator[None]:
        """A turn of a tenant's, or of what is of no tenant, for which it waits so many seconds.

        Raises PoolTimeout, TooManyRequests, and DatabaseQueueFull where the tenant's own calls fill the line.
        """
        places = self._places
        # What is of no tenant is its caller's.
        whose: Hashable = tenant if isinstance(tenant, str) else (tenant, accounting.payer())
        if places is not None:
            await self._take(places, whose, patience)
        started = self._clock()
        try:
            yield
        finally:
            self._accounts.charge("database_seconds", self._clock() - started, _name(tenant))
            if places is not None:
                places.give(whose)

    async def _take(self, places: FairPlaces, tenant: Hashable, patience: float) -> None:
        if isinstance(tenant, str):
            self._lately.came(tenant)
        for other in places.held if places.waiting else ():
            if other != tenant and places.held[other] >= self._most(other) and places.waits(other):
                self._tell(places, other)
        try:
            async with asyncio.timeout(patience):
                await places.take(tenant)
        except LineFull as error:
            if not error.is_own:
                raise TooManyRequests("as many wait as may") from error
            metrics.CALLS_LIMITED.labels("database").inc()
            self._tell(places, tenant)
            raise DatabaseQueueFull from error
        except TimeoutError as error:
            raise PoolTimeout("no connection in time") from error

    def _most(self, tenant: Hashable) -> int:
        others = isinstance(tenant, str) and self._lately.others_than((tenant,))
        return self._share(self._size, others=others)

    def _seconds(self, tenant: Hashable) -> float:
        return self._accounts.tenants.of(tenant)["database_seconds"] if isinstance(tenant, str) else 0.0

    def _tell(self, places: FairPlaces, tenant: Hashable) -> None:
        """Who wants more connections than a tenant may have while others come, once a minute at most."""
        now = self._clock()
        if now - self._told_at < _TOLD_EVERY_SECONDS:
            return
        self._told_at = now
        account = self._accounts.tenants.of(_name(tenant))
        log.warning(
            "database_share_met",
            tenant=_name(tenant),
            connections=places.held[tenant],
            waiting=places.waiting,
            **{kind: round(amount, 1) for kind, amount in account.items()},
        )


def _name(tenant: Hashable) -> str:
    return tenant if isinstance(tenant, str) else ""

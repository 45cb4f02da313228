"""Reads go to replicas of the primary that are not behind; what they cannot answer the primary does.

How far each node has come is asked of it all the time, on a connection of its own (``follow``). A read goes to a
replica that is known to have what the read has to see; if there is none, it waits a little for one, and then asks the
primary. A replica that does not answer, or lacks what the primary had some seconds ago, gets no reads, nor does a node
that is no copy of the primary.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol

import psycopg_pool

from memory_grpc import positions
from memory_grpc.errors import CopyUnavailable, StoreUnavailable
from memory_grpc.store.database import Database, Plan, Transaction
from memory_grpc.store.follow import Followed
from memory_grpc.store.opening import Tenant


class Reader(Protocol):
    """Where reads are done: a database, or several."""

    def transaction(
        self, *, tenant: Tenant, plan: Plan = "auto", pipelined: bool = False, at_one_moment: bool = False
    ) -> AbstractAsyncContextManager[Transaction]:
        """As ``Database.transaction``, for reading."""


class Replica:
    """One copy, and how far it has come."""

    def __init__(self, database: Database, followed: Followed) -> None:
        self.database = database
        self.followed = followed
        self.reads = 0


class Reads:
    """A primary and its replicas, as one place to read from."""

    def __init__(
        self,
        primary: Database,
        at_primary: Followed,
        replicas: Sequence[Replica],
        written: positions.Written,
        *,
        wait_seconds: float,
    ) -> None:
        self._primary = primary
        self._at_primary = at_primary
        self.replicas = replicas
        self._written = written
        self._wait = wait_seconds
        self._turns = itertools.count()
        self.primary_reads = 0

    def over(self, primary: Database) -> Reads:
        """The same with other connections to the primary."""
        return Reads(
            primary,
            self._at_primary,
            self.replicas,
            self._written,
            wait_seconds=self._wait,
        )

    @asynccontextmanager
    async def transaction(
        self, *, tenant: Tenant, plan: Plan = "auto", pipelined: bool = False, at_one_moment: bool = False
    ) -> AsyncIterator[Transaction]:
        """On a replica that has what this server wrote for the tenant and what the call asks for, else on the primary.

        The reads of one call never go back in time. Raises CopyUnavailable where a replica fails under a transaction:
        it died, or what it replays took away rows that were read.
        """
        replica = None
        try:
            async with AsyncExitStack() as stack:
                replica = await self._ready(tenant)
                if replica is not None:
                    positions.require(replica.followed.position)
                    try:
                        tx = await stack.enter_async_context(
                            replica.database.transaction(
                                tenant=tenant, plan=plan, pipelined=pipelined, at_one_moment=at_one_moment
                            )
                        )
                    except StoreUnavailable as error:
                        # One that is only busy is not away.
                        if not isinstance(error.__cause__, psycopg_pool.PoolTimeout | psycopg_pool.TooManyRequests):
                            replica.followed.lose()
                        replica = None
                    else:
                        tx.is_of_copy = True
                        replica.reads += 1
                if replica is None:
                    positions.require(positions.UNKNOWN)
                    tx = await stack.enter_async_context(
                        self._primary.transaction(
                            tenant=tenant, plan=plan, pipelined=pipelined, at_one_moment=at_one_moment
                        )
                    )
                    self.primary_reads += 1
                yield tx
        except StoreUnavailable as error:
            if replica is None:
                raise
            raise CopyUnavailable from error

    def behind_bytes(self, replica: Replica) -> int:
        """The log that a replica lacks, as far as is known here."""
        ahead = max(self._written.last, self._at_primary.position, *(r.followed.position for r in self.replicas))
        return ahead - replica.followed.position

    def followers(self) -> list[Callable[[], Awaitable[object]]]:
        """What is to be called over and over, each in a loop of its own."""
        return [self._at_primary.follow, *(replica.followed.follow for replica in self.replicas)]

    async def _ready(self, tenant: Tenant) -> Replica | None:
        """A replica that has come far enough: the next in turn; or, after a short wait, none."""
        needed = max(positions.least(), self._written.of(tenant if isinstance(tenant, str) else None))
        if needed == positions.UNKNOWN:
            return None
        # What it had some seconds ago; while it is away nobody is held to it.
        had = self._at_primary.position_then() if self._at_primary.is_up else 0
        up = [replica for replica in self.replicas if replica.followed.may_be_read and replica.followed.position >= had]
        if not up:
            return None
        turn = next(self._turns) % len(up)
        for replica in (*up[turn:], *up[:turn]):
            if replica.followed.position >= needed:
                return replica
        return up[turn] if await up[turn].followed.reaches(needed, self._wait) else None

"""Reads go to replicas of the primary that are not behind; what they cannot answer the primary does.

How far a replica has come is asked of it every so often, by a loop beside the server. Positions only grow, so that what
was heard last is always true: a read that wants no more goes there without a question. One that wants more asks the
replica itself, for a short while, and then the primary.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol

import structlog

from memory_grpc import positions
from memory_grpc.errors import StoreUnavailable
from memory_grpc.store.database import EVERY_TENANT, Database, Plan, Transaction
from memory_grpc.store.opening import Tenant

log = structlog.get_logger(__name__)

_ASKED_EVERY_SECONDS = 0.005
_PATIENCE_SECONDS = 2.0


class Reader(Protocol):
    """Where reads are done: a database, or several."""

    def transaction(
        self, *, tenant: Tenant, plan: Plan = "auto", pipelined: bool = False, at_one_moment: bool = False
    ) -> AbstractAsyncContextManager[Transaction]:
        """As ``Database.transaction``, for reading."""


class Replica:
    """One copy: whether it answers, and how far it is known to have come."""

    def __init__(self, database: Database, name: str) -> None:
        self.database = database
        self.name = name
        self.position = 0
        self.is_up = False
        self.reads = 0

    async def ask(self) -> int:
        """How far it has come. Raises StoreUnavailable."""
        async with self.database.transaction(tenant=EVERY_TENANT) as tx:
            row = await tx.one("database.replayed")
        if row is None:
            raise StoreUnavailable
        self.position = max(self.position, int(row["position"]))
        return self.position

    def tell(self, *, is_up: bool) -> None:
        """Notes whether it answers; a change is logged."""
        if is_up is not self.is_up:
            log.log(_INFO if is_up else _WARNING, "replica_back" if is_up else "replica_away", replica=self.name)
        self.is_up = is_up


_INFO, _WARNING = 20, 30


class Reads:
    """A primary and its replicas, as one place to read from."""

    def __init__(
        self,
        primary: Database,
        replicas: Sequence[Replica],
        written: positions.Written,
        *,
        wait_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        self._primary = primary
        self.replicas = replicas
        self.primary_reads = 0
        self._written = written
        self._wait = wait_seconds
        self._clock = clock
        self._turns = itertools.count()

    @asynccontextmanager
    async def transaction(
        self, *, tenant: Tenant, plan: Plan = "auto", pipelined: bool = False, at_one_moment: bool = False
    ) -> AsyncIterator[Transaction]:
        """On a replica that has what this server wrote for the tenant and what the call asks for, else on the primary.

        A replica that dies under a transaction fails it with StoreUnavailable, as the primary would.
        """
        async with AsyncExitStack() as stack:
            replica = await self._ready(tenant)
            if replica is not None:
                try:
                    tx = await stack.enter_async_context(
                        replica.database.transaction(
                            tenant=tenant, plan=plan, pipelined=pipelined, at_one_moment=at_one_moment
                        )
                    )
                except StoreUnavailable:
                    replica.tell(is_up=False)
                    replica = None
            if replica is None:
                tx = await stack.enter_async_context(
                    self._primary.transaction(
                        tenant=tenant, plan=plan, pipelined=pipelined, at_one_moment=at_one_moment
                    )
                )
                self.primary_reads += 1
            else:
                replica.reads += 1
            yield tx

    async def follow(self) -> None:
        """Asks every replica how far it has come; one that does not answer in time gets no reads until it does."""
        await asyncio.gather(*(self._heard(replica) for replica in self.replicas))

    def furthest(self) -> int:
        """Where the log has come to, as far as is known here."""
        return max([self._written.last, *(replica.position for replica in self.replicas)])

    async def _heard(self, replica: Replica) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await replica.ask()
        except Exception:  # whatever a server that is away makes of a question
            replica.tell(is_up=False)
        else:
            replica.tell(is_up=True)

    async def _ready(self, tenant: Tenant) -> Replica | None:
        """A replica that has come far enough: the next in turn; or, after a short wait, none."""
        needed = max(positions.least(), self._written.of(tenant if isinstance(tenant, str) else None))
        up = [replica for replica in self.replicas if replica.is_up]
        if not up or needed == positions.UNKNOWN:
            return None
        turn = next(self._turns) % len(up)
        for replica in (*up[turn:], *up[:turn]):
            if replica.position >= needed:
                return replica
        return await self._caught_up(up[turn], needed)

    async def _caught_up(self, replica: Replica, needed: int) -> Replica | None:
        ends_at = self._clock() + self._wait
        while self._clock() < ends_at:
            try:
                if await replica.ask() >= needed:
                    return replica
            except StoreUnavailable:
                replica.tell(is_up=False)
                return None
            await asyncio.sleep(_ASKED_EVERY_SECONDS)
        return None

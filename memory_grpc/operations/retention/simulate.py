"""Simulate: what a sweep would do by a policy that need not be set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from memory_grpc.domain.retention import Simulation
from memory_grpc.operations.policy.policies import Policies
from memory_grpc.operations.retention.turns import Turns
from memory_grpc.store import clock, retention, revisions
from memory_grpc.store.database import Database

# A large tenant's messages take seconds to read. One at a time leaves the pool its other connections.
_AT_ONCE = 1


class Simulate:
    """Reads a tenant's messages, and changes nothing."""

    def __init__(self, database: Database, policies: Policies) -> None:
        self._database = database
        self._policies = policies
        self._turns = Turns(_AT_ONCE)

    async def __call__(
        self, tenant_id: str, changes: Mapping[str, float], as_of: datetime | None, sample_size: int
    ) -> Simulation:
        """``changes`` are the limits to try, by name; the others are those that hold. None as ``as_of`` is now; of
        a moment that has passed messages are looked at as they were then.

        Everything is of one moment. Raises Overloaded where many of the tenant's wait already, StoreUnavailable
        and DeadlineExceeded.
        """
        async with self._turns.of(tenant_id):
            limits = replace((await self._policies.get(tenant_id, fresh=True)).retention, **changes)
            async with self._database.transaction(tenant=tenant_id, plan="each", at_one_moment=True) as tx:
                now = await clock.now(tx)
                when = as_of or now
                # A message may be dated a little ahead, and a sweep of today looks at it.
                said_by = as_of if when < now else None
                await revisions.look_back(tx, tenant_id, said_by)
                months = await retention.simulate(tx, tenant_id, limits, when, said_by)
                samples = await retention.sample(tx, tenant_id, limits, when, said_by, sample_size)
        return Simulation(limits, when, months, *samples)

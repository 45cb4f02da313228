"""How many connections a tenant may hold, alone and while others come."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from psycopg_pool import PoolTimeout

from memory_grpc import lately
from memory_grpc.store.connection_turns import ConnectionTurns, all_but_a_quarter, most_of_one
from memory_grpc.store.opening import EVERY_TENANT, Tenant

SIZE = 10
AT_ONCE = 0.0


class Turns:
    """Transactions that last until the test ends."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.now = 0.0
        self.turns = ConnectionTurns(SIZE, most_waiting=100, clock=lambda: self.now)
        self.stack = stack

    async def begin(self, tenant: Tenant, most: int) -> int:
        """How many of so many transactions of a tenant's began at once."""
        for begun in range(most):
            try:
                await self.stack.enter_async_context(self.turns.of(tenant, AT_ONCE))
            except PoolTimeout:
                return begun
        return most

    async def one(self, tenant: Tenant) -> None:
        """A transaction of a tenant's that has ended."""
        async with self.turns.of(tenant, AT_ONCE):
            pass


def test_three_quarters_are_a_tenants_alone_and_a_quarter_beside_others() -> None:
    shares = {size: (most_of_one(size, others=False), most_of_one(size, others=True)) for size in (1, 2, 4, 10)}
    assert shares == {1: (1, 1), 2: (1, 1), 4: (3, 1), 10: (8, 2)}


def test_work_that_needs_two_connections_at_once_has_them_beside_others() -> None:
    assert [all_but_a_quarter(size, others=True) for size in (3, 4, 8)] == [2, 3, 6]


@pytest.mark.asyncio
async def test_a_tenant_holds_a_quarter_for_as_long_as_others_came_lately() -> None:
    async with AsyncExitStack() as stack:
        turns = Turns(stack)
        await turns.one("other")
        assert await turns.begin("greedy", SIZE) == 2
        turns.now += lately.SECONDS
        assert await turns.begin("greedy", SIZE) == 6, "eight in all, as many as it may have alone"


@pytest.mark.asyncio
async def test_what_a_tenant_held_alone_it_keeps_and_does_not_replace() -> None:
    turns = ConnectionTurns(SIZE, most_waiting=100, clock=lambda: 0.0)
    ends, begun = asyncio.Event(), 0

    async def hold() -> None:
        nonlocal begun
        async with turns.of("greedy", 60):
            begun += 1
            await ends.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(hold())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with turns.of("other", AT_ONCE):
            assert begun == 8
        with pytest.raises(PoolTimeout):
            async with turns.of("greedy", AT_ONCE):
                pass
        ends.set()


@pytest.mark.asyncio
async def test_what_is_of_no_tenant_is_bounded_as_before_and_bounds_nobody() -> None:
    async with AsyncExitStack() as stack:
        turns = Turns(stack)
        await turns.one(EVERY_TENANT)
        assert await turns.begin("alone", SIZE) == 8
    async with AsyncExitStack() as stack:
        turns = Turns(stack)
        await turns.one("other")
        assert await turns.begin(EVERY_TENANT, SIZE) == 8

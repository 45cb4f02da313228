"""Turns: of a tenant one at a time, of all so many."""

from __future__ import annotations

import asyncio

import pytest

from memory_grpc.errors import Overloaded
from memory_grpc.operations.retention.turns import Turns


@pytest.mark.asyncio
async def test_a_tenant_has_one_turn_that_waits_included_and_others_wait_for_theirs() -> None:
    turns, going, ends = Turns(1), [], asyncio.Event()

    async def work(tenant_id: str) -> None:
        async with turns.of(tenant_id):
            going.append(tenant_id)
            await ends.wait()

    first, second = asyncio.ensure_future(work("a")), asyncio.ensure_future(work("b"))
    await asyncio.sleep(0)
    for tenant_id in ("a", "b"):
        with pytest.raises(Overloaded):
            await work(tenant_id)
    assert going == ["a"]
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    ends.set()
    await first
    await asyncio.gather(work("a"), work("b"))
    assert going == ["a", "a", "b"]

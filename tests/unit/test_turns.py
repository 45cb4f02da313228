"""Turns: of a tenant one at a time, of all so many, and nobody waits behind another tenant's queue."""

from __future__ import annotations

import asyncio

import pytest

from memory_grpc.errors import Overloaded
from memory_grpc.operations.retention.turns import Turns


@pytest.mark.asyncio
async def test_a_tenant_has_one_turn_and_its_others_are_in_nobodys_way() -> None:
    turns, began, ends = Turns(2), [], asyncio.Event()

    async def work(tenant_id: str) -> None:
        async with turns.of(tenant_id):
            began.append(tenant_id)
            await ends.wait()

    calls = [asyncio.ensure_future(work("a")) for _ in range(16)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await work("a")
    calls.append(asyncio.ensure_future(work("b")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert began == ["a", "b"]
    calls[5].cancel()
    ends.set()
    await asyncio.gather(*calls, return_exceptions=True)
    assert sorted(began) == ["a"] * 15 + ["b"]
    await work("a")
    assert turns._tenants == {}, "nothing is kept of those that have ended"

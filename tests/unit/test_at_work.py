"""A caller beside others has a few calls at work at once, and the others of it wait at the door."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import suppress

import pytest

from memory_grpc.at_work import AtWork, paused
from tests.unit.clock import Clock, settle

pytestmark = pytest.mark.asyncio


class Calls:
    """Calls that work until they are told to end, and wait for a model where they are told to."""

    def __init__(self, few: int = 2, most: int = 100) -> None:
        self.clock = Clock()
        self.at_work = AtWork(few, most, lambda: self.clock.now)
        self.working: list[str] = []
        self.model = asyncio.Event()
        self.end = asyncio.Event()

    async def begin(self, caller: Hashable, name: str, *, embeds: bool = False) -> asyncio.Task[None]:
        async def work() -> None:
            async with self.at_work.of(caller):
                if embeds:
                    async with paused():
                        await self.model.wait()
                self.working.append(name)
                await self.end.wait()
                self.working.remove(name)

        task = asyncio.create_task(work())
        await settle()
        return task


async def test_a_caller_alone_has_as_many_as_it_likes() -> None:
    calls = Calls()
    for name in "abcde":
        await calls.begin("one", name)
    assert calls.working == [*"abcde"]


async def test_beside_another_a_caller_has_a_few_and_the_other_is_served_at_once() -> None:
    calls = Calls(few=2)
    await calls.begin("other", "first")
    for name in "abcde":
        await calls.begin("one", name)
    assert calls.working == ["first", "a", "b"]
    await calls.begin("other", "second")
    assert calls.working == ["first", "a", "b", "second"]
    calls.end.set()
    await settle()
    assert calls.working == []


async def test_when_the_other_has_gone_for_a_while_it_is_alone_again() -> None:
    calls = Calls(few=1)
    await calls.begin("other", "first")
    await calls.begin("one", "a")
    await calls.begin("one", "b")
    assert calls.working == ["first", "a"]
    await calls.clock.pass_(11)
    await calls.begin("one", "c")
    assert sorted(calls.working) == ["a", "b", "c", "first"]


async def test_what_waits_for_the_model_has_no_place_and_all_of_it_is_embedded_together() -> None:
    calls = Calls(few=1)
    await calls.begin("other", "first")
    for name in "abc":
        await calls.begin("one", name, embeds=True)
    await calls.begin("one", "d")
    assert calls.working == ["first", "d"], "three wait for the model"
    calls.model.set()
    await settle()
    assert calls.working == ["first", "d"], "one of them at a time goes on"
    calls.end.set()
    await settle()
    assert calls.working == []


async def test_a_call_that_is_cancelled_at_the_door_or_while_it_waits_for_the_model_leaves_nothing() -> None:
    calls = Calls(few=1)
    await calls.begin("other", "first")
    waits = await calls.begin("one", "a", embeds=True)
    await calls.begin("one", "b")
    at_the_door = await calls.begin("one", "c")
    for task in (waits, at_the_door):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    calls.end.set()
    await settle()
    calls.end.clear()
    await calls.begin("one", "d")
    assert calls.working == ["d"]


async def test_after_an_error_of_the_model_a_call_goes_on_without_a_place_and_gives_none_back_twice() -> None:
    calls = Calls(few=1)
    await calls.begin("other", "first")

    async def fails() -> None:
        async with calls.at_work.of("one"):
            with suppress(TimeoutError):
                async with asyncio.timeout(0), paused():
                    await asyncio.sleep(60)
            await calls.end.wait()

    task = asyncio.create_task(fails())
    await settle()
    await calls.begin("one", "a")
    assert calls.working == ["first", "a"]
    calls.end.set()
    await task
    calls.end.clear()
    await settle()
    for name in "bc":
        await calls.begin("one", name)
    assert calls.working == ["b"]


async def test_work_that_is_no_call_waits_for_the_model_without_more_ado() -> None:
    async with paused():
        pass

"""A caller beside others has a few calls at work at once, and the others of it wait at the door."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import suppress

import pytest
from structlog.testing import capture_logs

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
    assert calls.at_work.waiting == 3
    await calls.begin("other", "second")
    assert calls.working == ["first", "a", "b", "second"]
    calls.end.set()
    await settle()
    assert calls.working == []


async def test_whose_calls_wait_long_is_told_once_a_minute() -> None:
    calls = Calls(few=1)
    await calls.begin("other", "first")
    with capture_logs() as logs:
        tasks = [await calls.begin("acme", name) for name in "abcd"]
        tasks[1].cancel()
        await settle()
        assert logs == [], "not long"
        await calls.clock.pass_(0.2)
        tasks[2].cancel()
        await settle()
        tasks[3].cancel()
        await settle()
    assert logs == [{"event": "work_share_met", "log_level": "warning", "caller": "acme", "at_work": 1, "waiting": 1}]


async def test_the_seconds_of_each_wait_are_told_however_it_ends() -> None:
    calls = Calls(few=1)
    await calls.begin("other", "first")
    await calls.begin("one", "a")
    told: list[float] = []

    async def wait() -> None:
        async with calls.at_work.of("one", told.append):
            pass

    served, cancelled = asyncio.create_task(wait()), asyncio.create_task(wait())
    await settle()
    await calls.clock.pass_(0.5)
    cancelled.cancel()
    await settle()
    await calls.clock.pass_(1.5)
    calls.end.set()
    await served
    assert sorted(told) == [0.5, 2.0]


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


async def test_after_an_error_of_the_model_a_call_has_its_place_again_before_it_goes_on() -> None:
    calls = Calls(few=1)
    await calls.begin("other", "first")

    async def fails() -> None:
        async with calls.at_work.of("one"):
            with suppress(TimeoutError):
                async with paused(), asyncio.timeout(0):
                    await asyncio.sleep(60)
            calls.working.append("failed")
            await calls.end.wait()

    await calls.begin("one", "a")
    task = asyncio.create_task(fails())
    await settle()
    assert calls.working == ["first", "a"]
    calls.end.set()
    await task
    assert calls.working == ["failed"]


async def test_work_that_is_no_call_waits_for_the_model_without_more_ado() -> None:
    async with paused():
        pass

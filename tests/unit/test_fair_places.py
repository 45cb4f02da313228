"""Places by turns: who has fewest is next, nobody takes all, and who fills the line is told to leave it."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

import pytest

from memory_grpc import accounts
from memory_grpc.fair_places import FairPlaces, LineFull
from memory_grpc.offload import in_thread
from tests.unit.clock import settle

pytestmark = pytest.mark.asyncio


class Callers:
    """Calls that hold their place until they are told to end."""

    def __init__(self, places: FairPlaces) -> None:
        self.places = places
        self.served: list[Hashable] = []
        self._ends: dict[Hashable, list[asyncio.Event]] = {}

    async def call(self, caller: Hashable) -> asyncio.Task[None]:
        async def work() -> None:
            async with self.places.of(caller):
                self.served.append(caller)
                end = asyncio.Event()
                self._ends.setdefault(caller, []).append(end)
                await end.wait()

        task = asyncio.create_task(work())
        await settle()
        return task

    async def end(self, caller: Hashable) -> None:
        self._ends[caller].pop(0).set()
        await settle()


async def test_one_caller_leaves_places_for_whoever_comes() -> None:
    callers = Callers(FairPlaces(4, each=lambda caller: 3))
    tasks = [await callers.call("greedy") for _ in range(6)]
    assert callers.served == ["greedy"] * 3
    tasks.append(await callers.call("other"))
    assert callers.served[-1] == "other"
    for task in tasks:
        task.cancel()
    await settle()
    assert not callers.places.held and not callers.places.waiting


async def test_a_share_that_grew_is_had_by_those_who_wait_when_the_next_comes() -> None:
    each = 1
    callers = Callers(FairPlaces(4, each=lambda caller: each, most_waiting=2))
    tasks = [await callers.call("one") for _ in range(3)]
    assert callers.served == ["one"]
    each = 3
    tasks.append(await callers.call("one"))
    assert callers.served == ["one"] * 3, "also where the line was full"
    for task in tasks:
        task.cancel()
    await settle()
    assert not callers.places.held and not callers.places.waiting


async def test_next_is_who_has_fewest_and_then_who_has_had_least() -> None:
    seconds = {"greedy": 9.0, "new": 0.0, "old": 5.0}
    callers = Callers(FairPlaces(3, each=lambda caller: 3, used=lambda caller: seconds[str(caller)]))
    for caller in ("greedy", "greedy", "greedy", "greedy", "old", "new"):
        await callers.call(caller)
    for _ in range(3):
        await callers.end("greedy")
    # Of three that want, each has one; the first who came is the last.
    assert callers.served[3:] == ["new", "old", "greedy"]


async def test_callers_with_as_many_places_take_turns() -> None:
    callers = Callers(FairPlaces(1, each=lambda caller: 1))
    for caller in ("a", "a", "a", "b", "b"):
        await callers.call(caller)
    for caller in ("a", "b", "a", "b"):
        assert callers.served[-1] == caller
        await callers.end(caller)
    assert callers.served == ["a", "b", "a", "b", "a"]


async def test_a_full_line_loses_the_newest_of_whoever_has_most_in_it() -> None:
    callers = Callers(FairPlaces(1, each=lambda caller: 1, most_waiting=3))
    tasks = [await callers.call("greedy") for _ in range(4)]
    tasks.append(await callers.call("other"))
    assert callers.places.waiting == 3
    with pytest.raises(LineFull) as lost:
        await tasks[3]
    assert lost.value.is_own
    # As many as anybody has: what comes is what leaves. It is the caller's own doing only where others wait, too.
    with pytest.raises(LineFull) as refused:
        await callers.places.take("greedy")
    assert refused.value.is_own


async def test_a_line_that_one_caller_fills_alone_is_nobodys_doing() -> None:
    callers = Callers(FairPlaces(1, each=lambda caller: 1, most_waiting=1))
    for _ in range(2):
        await callers.call("alone")
    with pytest.raises(LineFull) as full:
        await callers.places.take("alone")
    assert not full.value.is_own


async def test_a_call_that_gives_up_as_its_turn_comes_hands_it_on() -> None:
    callers = Callers(FairPlaces(1, each=lambda caller: 1))
    await callers.call("a")
    gone, stays = await callers.call("b"), await callers.call("c")
    callers.places.give("a")  # b has a place from here on, and does not know yet
    gone.cancel()
    await settle()
    assert callers.served == ["a", "c"]
    stays.cancel()


async def test_long_work_of_one_caller_is_done_piece_by_piece() -> None:
    import threading

    at_work, most = 0, 0
    lock, go = threading.Lock(), threading.Event()

    def work() -> None:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        go.wait(10)
        with lock:
            at_work -= 1

    async def call(caller: str) -> None:
        accounts.enter(caller)
        await in_thread(work)

    tasks = [asyncio.create_task(call("greedy")) for _ in range(6)]
    await settle()
    other: asyncio.Task[None] = asyncio.create_task(call("other"))
    async with asyncio.timeout(10):
        while most < 2:  # the other's is at work beside it
            await asyncio.sleep(0.005)
    go.set()
    await asyncio.gather(*tasks, other)
    assert most == 2

"""The loop that the retention scheduler and the embedding worker run in, on a clock moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from memory_grpc.jobs import loop as module
from memory_grpc.jobs.loop import STOP_SECONDS, Loop, at_work
from tests.unit.clock import Clock, settle

SECONDS = 30.0


class Work:
    """Counts its calls; says what it is told to say, or raises it; blocks while it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.answers: list[object] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.cancelled = False

    async def __call__(self) -> object:
        self.calls += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, BaseException):
            raise answer
        return answer


@pytest_asyncio.fixture
async def make(clock: Clock) -> AsyncIterator[Callable[[Callable[[], Awaitable[object]]], Loop]]:
    """Makes loops, and stops them at the end."""
    loops: list[Loop] = []

    def loop(work: Callable[[], Awaitable[object]]) -> Loop:
        loops.append(Loop("test", work, SECONDS))
        return loops[-1]

    yield loop
    for started in loops:
        await started.stop()


class Stubborn:
    """Work that goes on when it is cancelled, until it is told that it is done."""

    def __init__(self) -> None:
        self.done = asyncio.Event()

    async def __call__(self) -> None:
        while not self.done.is_set():
            try:
                await self.done.wait()
            except asyncio.CancelledError:
                continue


@pytest_asyncio.fixture
async def stubborn() -> AsyncIterator[Stubborn]:
    work = Stubborn()
    yield work
    work.done.set()
    await settle()


Make = Callable[[Callable[[], Awaitable[object]]], Loop]


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What the loops log."""
    events: list[tuple[str, dict[str, Any]]] = []

    class Recorder:
        def warning(self, event: str, **fields: Any) -> None:
            events.append((event, fields))

        error = warning

    monkeypatch.setattr(module, "log", Recorder())
    return events


@pytest.mark.asyncio
async def test_the_first_call_comes_at_once_and_the_next_after_its_time(make: Make, clock: Clock) -> None:
    work = Work()
    loop = make(work)
    await settle()
    assert work.calls == 0
    loop.start()
    await settle()
    assert work.calls == 1
    await clock.pass_(SECONDS - 0.1)
    assert work.calls == 1
    await clock.pass_(0.2)
    assert work.calls == 2
    await clock.pass_(SECONDS + 0.1)
    assert work.calls == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("true", [1, True, object(), [0]])
async def test_work_that_found_something_goes_on_at_once(make: Make, true: object) -> None:
    work = Work()
    work.answers = [true, true, true, 0]
    make(work).start()
    await settle()
    assert work.calls == 4


@pytest.mark.asyncio
@pytest.mark.parametrize("false", [0, False, None, ""])
async def test_work_that_found_nothing_waits(make: Make, false: object) -> None:
    work = Work()
    work.answers = [false]
    make(work).start()
    await settle()
    assert work.calls == 1


@pytest.mark.asyncio
async def test_waking_cuts_the_wait_short_once(make: Make, clock: Clock) -> None:
    work = Work()
    loop = make(work)
    loop.start()
    await settle()
    loop.wake()
    loop.wake()
    await settle()
    assert work.calls == 2
    await clock.pass_(SECONDS - 0.1)
    assert work.calls == 2


@pytest.mark.asyncio
async def test_waking_during_work_is_not_forgotten(make: Make) -> None:
    work = Work()
    work.gate.clear()
    loop = make(work)
    loop.start()
    await settle()
    loop.wake()
    work.gate.set()
    await settle()
    assert work.calls == 2


@pytest.mark.asyncio
async def test_the_loop_outlives_exceptions_and_logs_their_class_alone(
    make: Make, clock: Clock, logged: list[tuple[str, dict[str, Any]]]
) -> None:
    work = Work()
    work.answers = [ValueError("postgresql://u:hunter2@db"), ConnectionError("hunter2")]
    make(work).start()
    await settle()
    assert work.calls == 1, "an error is no reason to try again at once"
    await clock.pass_(SECONDS + 0.1)
    await clock.pass_(SECONDS + 0.1)
    assert work.calls == 3
    assert logged == [
        ("background_error", {"loop": "test", "error": "ValueError"}),
        ("background_error", {"loop": "test", "error": "ConnectionError"}),
    ]


@pytest.mark.asyncio
async def test_stopping_cancels_work_where_it_is_and_waits_for_its_end(make: Make) -> None:
    work = Work()
    work.gate.clear()
    loop = make(work)
    loop.start()
    await settle()
    await loop.stop()
    assert work.cancelled
    work.gate.set()
    loop.wake()
    await settle()
    assert work.calls == 1


@pytest.mark.asyncio
async def test_a_cancellation_that_nobody_asked_the_loop_for_does_not_end_it(
    make: Make, clock: Clock, logged: list[tuple[str, dict[str, Any]]]
) -> None:
    """As when the future that work waits for is cancelled by whoever should have answered it."""
    work = Work()
    work.answers = [asyncio.CancelledError()]
    make(work).start()
    await settle()
    await clock.pass_(SECONDS + 0.1)
    assert work.calls == 2
    assert logged == [("background_error", {"loop": "test", "error": "CancelledError"})]


@pytest.mark.asyncio
@pytest.mark.parametrize("makes_of_it", [None, 1, ConnectionError("the cleanup failed")])
async def test_stopping_ends_a_loop_whose_work_makes_something_else_of_the_cancellation(
    make: Make, logged: list[tuple[str, dict[str, Any]]], makes_of_it: object
) -> None:
    calls = 0

    async def work() -> object:
        nonlocal calls
        calls += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if isinstance(makes_of_it, Exception):
                raise makes_of_it from None
        return makes_of_it

    loop = make(work)
    loop.start()
    await settle()
    await asyncio.wait_for(loop.stop(), 5)
    assert calls == 1
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "test"]


@pytest.mark.asyncio
async def test_stopping_waits_no_longer_than_its_bound_for_work_that_goes_on(
    make: Make, clock: Clock, stubborn: Stubborn, logged: list[tuple[str, dict[str, Any]]]
) -> None:
    loop = make(stubborn)
    loop.start()
    await settle()
    stopping = asyncio.create_task(loop.stop())
    await settle()
    await clock.pass_(STOP_SECONDS - 0.1)
    assert not stopping.done()
    await clock.pass_(0.2)
    assert stopping.done()
    assert logged == [("loop_not_stopped", {"loop": "test"})]
    stubborn.done.set()
    await settle()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "test"], "it goes no further than its call"


@pytest.mark.asyncio
async def test_loops_are_stopped_at_once_and_not_one_after_the_other(
    clock: Clock, stubborn: Stubborn, logged: list[tuple[str, dict[str, Any]]]
) -> None:
    async def run() -> None:
        async with at_work([Loop(name, stubborn, SECONDS) for name in ("one", "two", "three")]):
            await settle()

    running = asyncio.create_task(run())
    await settle()
    await settle()
    await clock.pass_(STOP_SECONDS + 0.1)
    assert running.done()
    assert [fields["loop"] for _, fields in logged] == ["one", "two", "three"]


@pytest.mark.asyncio
async def test_stopping_ends_the_wait(make: Make, clock: Clock) -> None:
    work = Work()
    loop = make(work)
    loop.start()
    await settle()
    await loop.stop()
    await clock.pass_(10 * SECONDS)
    assert work.calls == 1
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "test"]


@pytest.mark.asyncio
async def test_stopping_twice_or_before_the_start_does_nothing(make: Make) -> None:
    work = Work()
    loop = make(work)
    await loop.stop()
    loop.start()
    await settle()
    await loop.stop()
    await loop.stop()
    assert work.calls == 1

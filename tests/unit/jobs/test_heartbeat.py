"""Work under a lease: renewed while it lasts, ended when the lease is lost, on a clock moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from memory_grpc.errors import LeaseLost, StoreUnavailable
from memory_grpc.jobs import heartbeat
from memory_grpc.jobs.heartbeat import BEATS, SPARE, beating
from tests.unit.clock import Clock, settle

pytestmark = pytest.mark.asyncio

SECONDS = 60.0


class Renewal:
    """Says what it is told to say, the last of it again and again; raises it where it is an exception."""

    def __init__(self, *answers: bool | Exception) -> None:
        self.answers = list(answers) or [True]
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> bool:
        self.calls += 1
        await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Work:
    """A task that works under a lease until it is told that it is done."""

    def __init__(self, clock: Clock, renew: Renewal, block: Callable[[asyncio.Event], Any] | None = None) -> None:
        self.done = asyncio.Event()
        self.cancelled = False
        self._block = block or (lambda done: done.wait())
        self.task = asyncio.create_task(self._run(clock.now, renew))

    async def _run(self, since: float, renew: Renewal) -> str:
        async with beating(renew, SECONDS, since):
            try:
                await self._block(self.done)
            except asyncio.CancelledError:
                self.cancelled = True
                raise
        return "done"


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the heartbeats log."""
    events: list[dict[str, Any]] = []

    class Recorder:
        def warning(self, event: str, **fields: Any) -> None:
            events.append({"event": event} | fields)

    monkeypatch.setattr(heartbeat, "log", Recorder())
    return events


async def beats(clock: Clock, count: int) -> None:
    for _ in range(count):
        await clock.pass_(SECONDS / BEATS + 0.01)


async def test_work_may_take_much_longer_than_its_lease(clock: Clock) -> None:
    renew = Renewal()
    work = Work(clock, renew)
    await settle()
    await beats(clock, 10 * BEATS)
    assert renew.calls == 10 * BEATS
    work.done.set()
    assert await work.task == "done"
    await beats(clock, 3)
    assert renew.calls == 10 * BEATS, "nothing is renewed any more"


async def test_work_ends_when_the_lease_is_another_s(clock: Clock) -> None:
    work = Work(clock, Renewal(True, True, False))
    await settle()
    await beats(clock, 2)
    assert not work.task.done()
    await beats(clock, 1)
    assert work.cancelled
    with pytest.raises(LeaseLost):
        await work.task


async def test_renewals_that_fail_are_tried_again_and_told_by_their_class(
    clock: Clock, logged: list[dict[str, Any]]
) -> None:
    failing = [StoreUnavailable("postgresql://u:hunter2@db")] * (BEATS - 2)
    work = Work(clock, Renewal(True, *failing, True))
    await settle()
    await beats(clock, 3 * BEATS)
    assert not work.task.done()
    assert logged == [{"event": "heartbeat_failed", "error": "StoreUnavailable"}] * (BEATS - 2)
    work.done.set()
    assert await work.task == "done"


async def test_work_ends_before_another_could_begin_when_no_renewal_goes_through(
    clock: Clock, logged: list[dict[str, Any]]
) -> None:
    work = Work(clock, Renewal(StoreUnavailable()))
    await settle()
    await clock.pass_((1 - SPARE) * SECONDS - 0.1)
    assert not work.task.done()
    await clock.pass_(0.2)
    assert work.cancelled
    with pytest.raises(LeaseLost):
        await work.task


async def test_a_renewal_that_hangs_is_none(clock: Clock) -> None:
    renew = Renewal()
    renew.gate.clear()
    work = Work(clock, renew)
    await settle()
    await clock.pass_((1 - SPARE) * SECONDS + 0.1)
    with pytest.raises(LeaseLost):
        await work.task
    assert renew.calls == 1


async def test_time_counts_from_when_the_lease_was_asked_for(clock: Clock) -> None:
    """An answer that was long on its way says nothing of the time since then."""

    async def late() -> None:
        async with beating(Renewal(), SECONDS, clock.now - SECONDS):
            await asyncio.Event().wait()

    with pytest.raises(LeaseLost):
        await asyncio.create_task(late())


@pytest.mark.parametrize("error", [ValueError("its own"), TimeoutError("its own"), LeaseLost("its own")])
async def test_an_error_of_the_work_stays_what_it_is(clock: Clock, error: Exception) -> None:
    with pytest.raises(type(error), match="its own"):
        async with beating(Renewal(), SECONDS, clock.now):
            raise error


async def test_an_error_that_the_cancelled_work_raises_is_not_hidden(clock: Clock) -> None:
    async def fails(done: asyncio.Event) -> None:
        try:
            await done.wait()
        finally:
            raise ValueError("the cleanup failed")

    work = Work(clock, Renewal(False), fails)
    await settle()
    await beats(clock, 1)
    with pytest.raises(ValueError, match="the cleanup failed"):
        await work.task


async def test_work_that_swallows_its_cancellation_has_lost_its_lease_all_the_same(clock: Clock) -> None:
    async def swallows(done: asyncio.Event) -> None:
        try:
            await done.wait()
        except asyncio.CancelledError:
            return

    work = Work(clock, Renewal(False), swallows)
    await settle()
    await beats(clock, 1)
    with pytest.raises(LeaseLost):
        await work.task
    assert work.task.cancelling() == 0


async def test_a_cancellation_from_outside_stays_one(clock: Clock) -> None:
    for also_lost in (False, True):
        renew = Renewal(not also_lost)
        work = Work(clock, renew)
        await settle()
        if also_lost:
            clock.now += SECONDS
        work.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work.task
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "heartbeat"]

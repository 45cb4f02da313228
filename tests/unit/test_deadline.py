"""The deadline that the store reads: nested, per task, and over when it is over."""

from __future__ import annotations

import asyncio
import time

import pytest

from memory_grpc import deadline
from memory_grpc.errors import DeadlineExceeded


class Clock:
    """time.monotonic, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


def test_without_a_deadline_there_is_none() -> None:
    assert deadline.remaining() is None


def test_what_is_left_shrinks_with_time(clock: Clock) -> None:
    with deadline.within(10.0):
        assert deadline.remaining() == 10.0
        clock.now += 4
        assert deadline.remaining() == 6.0


@pytest.mark.parametrize("passed", [10.0, 10.5, 1e6])
def test_nothing_left_raises(clock: Clock, passed: float) -> None:
    with deadline.within(10.0):
        clock.now += passed
        with pytest.raises(DeadlineExceeded):
            deadline.remaining()


def test_a_deadline_that_has_passed_already_raises(clock: Clock) -> None:
    with deadline.within(-1.0), pytest.raises(DeadlineExceeded):
        deadline.remaining()


@pytest.mark.parametrize(("outer", "inner", "expected"), [(10.0, 2.0, 2.0), (2.0, 10.0, 2.0), (5.0, 5.0, 5.0)])
def test_the_nearer_deadline_holds(clock: Clock, outer: float, inner: float, expected: float) -> None:
    with deadline.within(outer):
        with deadline.within(inner):
            assert deadline.remaining() == expected
        assert deadline.remaining() == outer
    assert deadline.remaining() is None


def test_an_exception_ends_the_deadline_too(clock: Clock) -> None:
    with pytest.raises(RuntimeError), deadline.within(1.0):
        raise RuntimeError
    assert deadline.remaining() is None


@pytest.mark.asyncio
async def test_tasks_of_a_call_inherit_its_deadline_and_others_do_not(clock: Clock) -> None:
    async def seen() -> float | None:
        return deadline.remaining()

    async def call(seconds: float) -> float | None:
        with deadline.within(seconds):
            return await asyncio.create_task(seen())

    assert await asyncio.gather(call(3.0), call(7.0), seen()) == [3.0, 7.0, None]

"""No unary call outlives the server's limit, whatever its client allows."""

from __future__ import annotations

import asyncio

import pytest

from memory_grpc import deadline
from memory_grpc.errors import DeadlineExceeded, NotFound
from memory_grpc.interceptors.deadline import limit_time
from tests.unit.interceptors.fakes import fake_call


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("limit", "asked", "expected"), [(15.0, None, 15.0), (15.0, 3.0, 3.0), (15.0, 60.0, 15.0), (15.0, 1e10, 15.0)]
)
async def test_the_nearer_of_both_limits_is_what_the_store_sees(
    limit: float, asked: float | None, expected: float
) -> None:
    async with limit_time(limit)(fake_call(time_remaining=asked)):
        left = deadline.remaining()
    assert left is not None
    assert expected - 1 < left <= expected
    assert deadline.remaining() is None


@pytest.mark.asyncio
@pytest.mark.parametrize(("asked", "early"), [(3.0, 0.05), (0.4, 0.02)])
async def test_the_answer_comes_before_the_client_s_deadline(asked: float, early: float) -> None:
    async with limit_time(15.0)(fake_call(time_remaining=asked)):
        left = deadline.remaining()
    assert left is not None
    assert left <= asked - early


@pytest.mark.asyncio
@pytest.mark.parametrize(("limit", "asked"), [(0.01, None), (15.0, 0.01), (15.0, 0.0), (15.0, -1.0)])
async def test_a_call_that_takes_longer_is_cut_off(limit: float, asked: float | None) -> None:
    cancelled = False
    with pytest.raises(DeadlineExceeded):
        async with limit_time(limit)(fake_call(time_remaining=asked)):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled = True
                raise
    assert cancelled
    assert deadline.remaining() is None


@pytest.mark.asyncio
async def test_a_call_in_time_is_left_alone() -> None:
    async with limit_time(15.0)(fake_call()):
        await asyncio.sleep(0)


@pytest.mark.asyncio
async def test_other_errors_pass() -> None:
    with pytest.raises(NotFound):
        async with limit_time(15.0)(fake_call()):
            raise NotFound


@pytest.mark.asyncio
async def test_a_client_that_goes_away_is_no_timeout() -> None:
    entered = asyncio.Event()

    async def serve() -> None:
        async with limit_time(15.0)(fake_call()):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(serve())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["server_stream", "bidi_stream"])
async def test_streams_have_no_limit(kind: str) -> None:
    async with limit_time(0.0)(fake_call(kind=kind, time_remaining=0.0)):
        for _ in range(5):
            await asyncio.sleep(0)
        assert deadline.remaining() is None

"""The bound on calls inside: it refuses, it follows the load, and kinds of calls do not shut each other out."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from memory_grpc.access import ANONYMOUS, EVERYTHING, Grant, Role
from memory_grpc.errors import DeadlineExceeded, NotFound, Overloaded, StoreUnavailable
from memory_grpc.interceptors.call import Call
from memory_grpc.interceptors.concurrency import Bound, ConcurrencyLimiter
from memory_grpc.interceptors.share import MOST_WATCHES, Share
from tests.unit.interceptors.fakes import HEALTH, METHOD, PROBE, REFLECTION, fake_call

INGEST = "/memory_layer.v1.MemoryService/IngestMessage"
WATCH = "/grpc.health.v1.Health/Watch"
STREAM = "/memory_layer.v1.MemoryService/StreamIngest"
POLICY = "/memory_layer.v1.PolicyService/GetTenantPolicy"


class Clock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def admit(ceiling: int = 2, floor: int = 1, seconds: float = 15.0, clock: Clock | None = None) -> ConcurrencyLimiter:
    return ConcurrencyLimiter(floor=floor, ceiling=ceiling, seconds=seconds, clock=clock or Clock())


def known_call(method: str, **context: Any) -> Call:
    """A call whose key was looked at."""
    call = fake_call(method, **context)
    call.grant = EVERYTHING
    return call


def rounds(bound: Bound, count: int, share: float) -> None:
    """``count`` times as many calls as may be inside, all of which used that share of their time; more were refused."""
    for _ in range(count):
        calls = bound.limit
        assert all(bound.enter() for _ in range(calls))
        assert not bound.enter()
        for _ in range(calls):
            bound.leave(share)


@pytest.mark.asyncio
async def test_the_call_over_the_bound_is_refused_and_the_next_is_not() -> None:
    door = admit(2)
    async with door.interceptor(fake_call(INGEST)):
        async with door.interceptor(fake_call(INGEST)):
            refused = fake_call(INGEST)
            with pytest.raises(Overloaded):
                async with door.interceptor(refused):
                    pytest.fail("inside")
            assert refused.was_shed
        async with door.interceptor(fake_call(INGEST)) as inside:
            assert inside is None
    assert door.bounds["write"].inside == 0


@pytest.mark.asyncio
async def test_kinds_have_places_of_their_own_and_probes_need_none() -> None:
    door = admit(1)
    async with AsyncExitStack() as stack:
        for method, kind in ((INGEST, "unary"), (METHOD, "unary"), (STREAM, "bidi_stream"), (POLICY, "unary")):
            await stack.enter_async_context(door.interceptor(fake_call(method, kind=kind)))
        for method in (INGEST, METHOD, POLICY):
            with pytest.raises(Overloaded):
                await stack.enter_async_context(door.interceptor(fake_call(method)))
        with pytest.raises(Overloaded):
            await stack.enter_async_context(door.interceptor(fake_call(STREAM, kind="bidi_stream")))
        for method in (HEALTH, PROBE, REFLECTION):
            await stack.enter_async_context(door.interceptor(fake_call(method)))
    assert {bound.inside for bound in door.bounds.values()} == {0}


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [NotFound, DeadlineExceeded, asyncio.CancelledError, RuntimeError])
async def test_a_place_is_given_back_however_the_call_ends(error: type[BaseException]) -> None:
    door = admit(1)
    for _ in range(3):
        with pytest.raises(error):
            async with door.interceptor(fake_call(INGEST)):
                raise error
    assert door.bounds["write"].inside == 0


async def ended(door: ConcurrencyLimiter, clock: Clock, call: Call, seconds: float, error: type[BaseException]) -> None:
    """A call that ended so after so many seconds."""
    with pytest.raises(error):
        async with door.interceptor(call):
            clock.now += seconds
            raise error


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [DeadlineExceeded, asyncio.CancelledError])
async def test_calls_that_use_up_their_time_lower_the_bound(error: type[BaseException]) -> None:
    clock = Clock()
    door = admit(10, clock=clock)
    for _ in range(10):
        await ended(door, clock, known_call(INGEST, time_remaining=2.0), 2.0, error)
    assert door.bounds["write"].limit == 8
    assert door.bounds["read"].limit == 10


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [DeadlineExceeded, asyncio.CancelledError])
async def test_calls_that_waited_for_others_of_their_callers_do_not_lower_the_bound(error: type[BaseException]) -> None:
    clock = Clock()
    door = admit(10, clock=clock)
    for _ in range(100):
        call = known_call(INGEST, time_remaining=2.0)
        call.waited(0.8)
        call.waited(0.8)
        await ended(door, clock, call, 2.0, error)
    assert door.bounds["write"].limit == 10


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [DeadlineExceeded, asyncio.CancelledError])
@pytest.mark.parametrize("seconds", [0.0, 0.002, 0.4])
async def test_deadlines_that_are_too_short_do_not_lower_the_bound(error: type[BaseException], seconds: float) -> None:
    clock = Clock()
    door = admit(10, clock=clock)
    for _ in range(100):
        await ended(door, clock, known_call(INGEST, time_remaining=seconds), seconds, error)
    assert door.bounds["write"].limit == 10


@pytest.mark.asyncio
@pytest.mark.parametrize("error", [DeadlineExceeded, asyncio.CancelledError])
async def test_strangers_who_wait_for_their_key_to_be_looked_at_do_not_lower_the_bound(
    error: type[BaseException],
) -> None:
    clock = Clock()
    door = admit(10, clock=clock)
    for _ in range(100):
        await ended(door, clock, fake_call(INGEST, time_remaining=5.0), 5.0, error)
    assert door.bounds["write"].limit == 10


@pytest.mark.asyncio
async def test_calls_refused_for_their_input_and_streams_say_nothing_of_the_load() -> None:
    clock = Clock()
    door = admit(10, clock=clock)
    for _ in range(100):
        await ended(door, clock, known_call(METHOD), 20.0, NotFound)
        async with door.interceptor(known_call(STREAM, kind="bidi_stream")):
            clock.now += 20.0
    assert door.bounds["read"].limit == door.bounds["stream"].limit == 10


def test_the_bound_falls_to_the_floor_and_rises_to_the_ceiling() -> None:
    bound = Bound(10, 64)
    rounds(bound, 1, 0.9)
    assert bound.limit == 51
    rounds(bound, 20, 0.9)
    assert bound.limit == 10
    rounds(bound, 3, 0.1)
    assert bound.limit == 13
    rounds(bound, 80, 0.1)
    assert bound.limit == 64


def test_a_bound_that_nobody_needs_does_not_rise() -> None:
    bound = Bound(2, 8)
    rounds(bound, 20, 0.9)
    for _ in range(100):
        assert bound.enter()
        bound.leave(0.1)
    assert bound.limit == 2


def test_a_few_late_calls_do_not_lower_it() -> None:
    bound = Bound(1, 20)
    for number in range(40):
        assert bound.enter()
        bound.leave(0.9 if number % 20 < 2 else 0.1)
    assert bound.limit == 20


def test_a_floor_above_the_ceiling_is_the_ceiling() -> None:
    bound = Bound(10, 4)
    rounds(bound, 5, 1.0)
    assert bound.limit == 4


@pytest.mark.asyncio
async def test_calls_that_a_database_held_up_that_was_away_do_not_lower_the_bound() -> None:
    clock = Clock()
    door = admit(4, clock=clock)

    async def late() -> None:
        with pytest.raises(DeadlineExceeded):
            async with door.interceptor(known_call(INGEST)):
                await asyncio.sleep(0)
                clock.now += 5.0
                raise DeadlineExceeded

    async def away() -> None:
        with pytest.raises(StoreUnavailable):
            async with door.interceptor(known_call(INGEST)):
                raise StoreUnavailable

    for _ in range(3):
        await asyncio.gather(late(), late(), late(), away())
    assert door.bounds["write"].limit == 4
    await asyncio.gather(*(late() for _ in range(4)))
    assert door.bounds["write"].limit == 3, "late for want of anything else"


def held_by(bound: Bound, *callers: str) -> dict[str, int]:
    """How many places each has when all have taken what they get, one after the other in turns."""
    places = dict.fromkeys(callers, 0)
    for _ in range(2 * bound.limit):
        for caller in callers:
            places[caller] += bound.enter(caller)
    return places


@pytest.mark.parametrize("attackers", range(1, 6))
def test_callers_that_want_all_places_leave_some_to_whoever_comes(attackers: int) -> None:
    bound = Bound(10, 128)
    held = held_by(bound, *(f"attacker {number}" for number in range(attackers)))
    assert sum(held.values()) == 112
    assert max(held.values()) - min(held.values()) <= 1
    assert held_by(bound, "victim") == {"victim": 16}


def test_a_caller_that_has_gone_leaves_its_share() -> None:
    bound = Bound(10, 16)
    assert held_by(bound, "one", "other") == {"one": 7, "other": 7}
    for _ in range(7):
        bound.leave(0.1, "other")
    assert held_by(bound, "one") == {"one": 7}


@pytest.mark.asyncio
async def test_a_tenant_with_too_many_calls_inside_is_refused_and_another_is_not() -> None:
    door = admit(16)
    share = Share(door)

    async def enter(stack: AsyncExitStack, tenant: str, **changes: Any) -> Call:
        call = fake_call(INGEST, metadata={"x-api-key": f"key of {tenant}"}, **changes)
        await stack.enter_async_context(door.interceptor(call))
        call.grant = Grant(Role.WRITER, frozenset({tenant}))
        share.admit(call, [tenant])
        return call

    async with AsyncExitStack() as stack:
        for _ in range(14):
            await enter(stack, "attacker")
        for _ in range(3):
            with pytest.raises(Overloaded):
                async with AsyncExitStack() as refused:
                    await enter(refused, "attacker")
        assert door.bounds["write"].inside == 14, "what was refused has no place"
        assert door.is_full("write", {"x-api-key": "key of attacker"})
        assert not door.is_full("write", {"x-api-key": "key of victim"})
        assert (await enter(stack, "victim")).caller == {"victim"}
    assert door.bounds["write"].inside == 0
    assert not door.is_full("write", {"x-api-key": "key of attacker"})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("grant", "tenants", "caller"),
    [
        (None, [], "203.0.113.7"),
        (ANONYMOUS, ["any", "name"], "203.0.113.7"),
        (EVERYTHING, ["named"], frozenset({"named"})),
        (replace(EVERYTHING, actor="setting:1"), [""], "setting:1"),
        (Grant(Role.READER, frozenset({"own"})), [], frozenset({"own"})),
    ],
)
async def test_a_caller_is_a_tenant_a_key_or_an_address(
    grant: Grant | None, tenants: list[str], caller: object
) -> None:
    call = fake_call(METHOD, metadata={"x-api-key": "k"})
    call.grant, call.client = grant, "203.0.113.7"
    door = admit(4)
    async with door.interceptor(call):
        Share(door).admit(call, tenants)
        assert call.caller == caller
    assert not door.bounds["read"].inside


@pytest.mark.asyncio
async def test_a_stream_that_sends_nothing_has_a_share_too() -> None:
    door = admit(8)
    share = Share(door)
    async with AsyncExitStack() as stack:
        for number, expected in enumerate((*(True,) * 7, False)):
            call = fake_call(STREAM, kind="bidi_stream", metadata={"x-api-key": f"key {number}"})
            await stack.enter_async_context(door.interceptor(call))
            call.grant = Grant(Role.WRITER, frozenset({"own"}))
            if expected:
                await stack.enter_async_context(share.interceptor(call))
            else:
                with pytest.raises(Overloaded):
                    await stack.enter_async_context(share.interceptor(call))


@pytest.mark.asyncio
@pytest.mark.parametrize("method", [WATCH, REFLECTION])
async def test_an_address_has_so_many_streams_of_health_and_reflection(method: str) -> None:
    share = Share(admit())

    def stream(client: str) -> Call:
        call = fake_call(method, kind="bidi_stream")
        call.client = client
        return call

    async with AsyncExitStack() as stack:
        for _ in range(MOST_WATCHES):
            await stack.enter_async_context(share.interceptor(stream("203.0.113.7")))
        with pytest.raises(Overloaded):
            await stack.enter_async_context(share.interceptor(stream("203.0.113.7")))
        await stack.enter_async_context(share.interceptor(stream("203.0.113.8")))
        await stack.enter_async_context(share.interceptor(fake_call(PROBE)))
    async with share.interceptor(stream("203.0.113.7")):
        pass
    assert not share._watching, "addresses that have gone are forgotten"

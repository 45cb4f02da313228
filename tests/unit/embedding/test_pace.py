"""How long a batch may be while several tenants come."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from statistics import fmean

import pytest

from memory_grpc.embedding.pace import SECONDS, Pace
from memory_grpc.lately import SECONDS as LATELY_SECONDS
from tests.unit.embedding.test_batch_queue import call, lengths, queue, tenants


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_tenant_alone_has_batches_of_any_length() -> None:
    pace = Pace(Clock())
    pace.took(1000, 0.1)
    pace.lately.came("alone")
    pace.lately.came("alone")
    assert math.isinf(pace.longest({"alone"}))


def test_while_another_comes_a_batch_takes_no_longer_than_each_tenants_part() -> None:
    clock = Clock()
    pace = Pace(clock)
    assert math.isinf(pace.longest({"one", "other"})), "nobody knows how fast the model is"
    for _ in range(100):
        pace.took(1000, 0.1)
    for tenant in ("one", "other", "one", "one"):
        pace.lately.came(tenant)
    part = pytest.approx(SECONDS * 10_000, rel=0.01)
    assert pace.longest({"one"}) == part and pace.longest({"other"}) == part
    assert pace.longest({"one", "other"}) == pytest.approx(2 * SECONDS * 10_000, rel=0.01)
    clock.now += LATELY_SECONDS + 1
    pace.lately.came("one")
    assert math.isinf(pace.longest({"one"}))


def of_two_tenants(seconds: Callable[[int], float], batches: int = 1000) -> list[int]:
    """How many windows of 250 the batches of two importing tenants have, of at most 64 each."""
    pace, windows = Pace(Clock()), []
    for tenant in ("one", "other"):
        pace.lately.came(tenant)
    for _ in range(batches):
        windows.append(max(1, min(64, int(min(pace.longest({"one"}), 1e9) / 250))))
        pace.took(250 * windows[-1], seconds(windows[-1]))
    return windows[100:]


def test_batches_whose_length_hardly_matters_are_not_shortened_much() -> None:
    """The way to a service takes nearly all of it, and not always as long."""
    chance = random.Random(1)
    assert fmean(of_two_tenants(lambda windows: 0.2 * chance.lognormvariate(0, 0.7) + 0.0003 * windows)) > 50


def test_batches_of_a_processor_stay_short_for_as_long_as_both_come() -> None:
    chance = random.Random(1)
    assert fmean(of_two_tenants(lambda windows: 0.005 * windows * chance.lognormvariate(0, 0.5))) < 4


def test_a_long_call_has_shorter_batches_once_another_tenant_comes() -> None:
    q = queue(batch_size=16, limit=10_000)
    q.submit(call(*[250] * 200, tenant="attacker"))
    first = q.take()
    assert lengths(first) == [250] * 16
    q.finish(first, 0.080)  # 5 ms each
    q.submit(call(10, tenant="victim"))
    short = q.take()
    assert tenants(short) == {"victim"}
    q.finish(short, 0.001)
    assert 2 <= len(q.take()) <= 3, "15 ms of the model"


def test_batches_that_were_refused_tell_nothing_of_the_model() -> None:
    q = queue(batch_size=16, limit=10_000)
    q.submit(call(*[250] * 200, tenant="attacker"))
    q.finish(q.take(), 0.080)
    q.submit(call(10, tenant="victim"))
    q.finish(q.take(), 0.001)
    for _ in range(10):
        q.finish(q.take(), 0.000001, is_embedded=False)
    assert 2 <= len(q.take()) <= 3

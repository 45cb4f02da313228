"""The short form of ``make abuse``: every program, for seconds. It looks for refusals and for waits of a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.abuse.programs import PROGRAMS, THROUGH_ENVOY
from tests.abuse.trial import Trial, instance_of, trial

SECONDS = 2.0
# The machine is shared with everything else that is tested: what an attack did before took seconds.
LEAST_SECONDS = 1.0


@pytest.mark.asyncio
@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in THROUGH_ENVOY])
async def test_the_victim_is_served(name: str, dsn: str, tmp_path: Path) -> None:
    async with instance_of(dsn, tmp_path) as instance:
        result = await trial(instance, SECONDS, name)
    assert result.attacks and len(result.attacked.seconds) > 1
    assert result.holds(LEAST_SECONDS), f"{result.attacked.failed}, {result.idle.p99:.3f} s, {result.attacked.p99:.3f}"


@pytest.mark.asyncio
async def test_the_victim_is_served_through_envoy(dsn: str, tmp_path: Path) -> None:
    programs = ("envoy_error_details", "envoy_nulls", "envoy_slow_readers")  # others: tests/chaos
    async with instance_of(dsn, tmp_path, programs[0]) as instance:
        result = await trial(instance, SECONDS, *programs)
    assert result.attacks >= len(programs) and len(result.attacked.seconds) > 1
    # Three attacks at once: what each costs alone is bench/abuse.py's to say.
    assert result.holds(4 * LEAST_SECONDS), f"{result.attacked.failed}, {result.attacked.p99:.3f} s"


@pytest.mark.asyncio
async def test_what_a_processor_is_used_for_is_told_apart(dsn: str, tmp_path: Path) -> None:
    async with instance_of(dsn, tmp_path, "envoy_nulls") as instance:
        result = await trial(instance, SECONDS, "envoy_nulls")
    assert 0 < result.attacker_share < 1
    assert result.used.server > 0 and result.used.victim > 0 and result.used.envoy > 0


def test_a_refusal_or_a_long_wait_does_not_hold() -> None:
    result = Trial()
    result.idle.seconds, result.attacked.seconds = [0.1], [0.3]
    assert result.holds()
    result.attacked.seconds = [0.31]
    assert not result.holds() and result.holds(0.5)
    result.attacked.failed = ["RESOURCE_EXHAUSTED"]
    assert not result.holds(0.5)

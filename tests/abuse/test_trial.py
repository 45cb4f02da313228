"""The short form of ``make abuse``: every program, for seconds. It looks for refusals and for waits of a second."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.abuse.programs import PROGRAMS
from tests.abuse.trial import Trial, instance_of, trial

SECONDS = 2.0
# The machine is shared with everything else that is tested: what an attack did before took seconds.
LEAST_SECONDS = 1.0


@pytest.mark.asyncio
@pytest.mark.parametrize("name", PROGRAMS)
async def test_the_victim_is_served(name: str, dsn: str, tmp_path: Path) -> None:
    async with instance_of(dsn, tmp_path) as instance:
        result = await trial(instance, name, SECONDS)
    assert result.attacks and len(result.attacked.seconds) > 1
    assert result.holds(LEAST_SECONDS), f"{result.attacked.failed}, {result.idle.p99:.3f} s, {result.attacked.p99:.3f}"


def test_a_refusal_or_a_long_wait_does_not_hold() -> None:
    result = Trial()
    result.idle.seconds, result.attacked.seconds = [0.1], [0.3]
    assert result.holds()
    result.attacked.seconds = [0.31]
    assert not result.holds() and result.holds(0.5)
    result.attacked.failed = ["RESOURCE_EXHAUSTED"]
    assert not result.holds(0.5)

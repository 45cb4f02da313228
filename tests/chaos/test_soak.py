"""Traffic of every kind while the network to the database flaps: memory, descriptors and connections stay flat."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.chaos.harness import faults_of_store, item, rounds, serving
from tests.chaos.soak import Flapping, Traffic, dsn_through, sampled, slope_a_minute, table

pytestmark = pytest.mark.timeout(2 * 3600)

# What the figures may rise by: over the whole of the short form, where caches and allocators still fill; a minute in
# the long one, which leaves a leak nowhere to hide.
SHORT = {"rss_mb": 60.0, "fds": 40.0, "connections": 15.0}
A_MINUTE = {"rss_mb": 1.0, "fds": 0.5, "connections": 0.5}
LONG_SECONDS = 300


@pytest.mark.asyncio
async def test_9_a_soak_with_a_flapping_network(dsn: str, tmp_path: Path) -> None:
    seconds = rounds("SOAK_SECONDS", 10)
    csv = os.environ.get("CHAOS_SOAK_CSV")
    with item(9, f"a soak of {seconds} s, the network to Postgres flapping") as result:
        async with (
            Flapping(dsn, calm=0.5 if seconds < LONG_SECONDS else 5.0, seed=9) as network,
            serving(dsn_through(dsn, network), tmp_path, RETENTION_SCHEDULE_SECONDS=5) as server,
        ):
            traffic = Traffic(server.address, clients=8)
            samples = await sampled(server, dsn, traffic, network, seconds)
            assert server.is_running, server.text[-2000:]
        if csv:
            await asyncio.to_thread(Path(csv).write_text, table(samples, separator=","), encoding="utf-8")
        print("\n" + table(samples if len(samples) < 40 else samples[:: len(samples) // 40]))
        # Warm-up: a third of the time, in which caches fill and the pool finds its size.
        settled = samples[len(samples) // 3 :]
        result.tried = traffic.calls
        result.note = (
            f"{traffic.calls} calls, {traffic.failed} failed, {network.cuts} cuts, {network.stops} stops; "
            f"RSS {settled[0].rss_mb:.0f} to {settled[-1].rss_mb:.0f} MB, {settled[-1].fds} descriptors, "
            f"{settled[-1].connections} connections"
        )
        assert network.cuts > 0
        assert network.stops > 0
        assert not traffic.wrong, traffic.wrong
        assert traffic.calls > 2 * seconds, "traffic came to a standstill"
        for name in ("rss_mb", "fds", "connections"):
            values = [(sample.at, float(getattr(sample, name))) for sample in settled]
            if seconds < LONG_SECONDS:
                assert max(v for _, v in values) - values[0][1] < SHORT[name], f"{name}: {values}"
            else:
                slope = slope_a_minute(values)
                assert slope < A_MINUTE[name], f"{name} rises by {slope:.2f} a minute"
        faults = faults_of_store(dsn, traffic.acknowledged, others_may_be_there=True)
        assert not faults, faults[:10]
        result.held = traffic.calls

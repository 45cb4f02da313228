"""More than the service can do: the excess is refused at once, and the service is well afterwards."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc
import psycopg
import pytest

from memory_layer.v1 import admin_service_pb2 as admin
from tests.chaos.harness import connected, item, message, rounds, serving, until
from tests.chaos.overload import capacity, curve, report

pytestmark = pytest.mark.timeout(1800)

# From this length on (seconds a rate) the promised figures are asserted: that needs a quiet machine, and calls enough
# for a percentile to mean something. The short form looks for the collapse that there is without a bound.
STRICT_SECONDS = 10
DEADLINE = 2.0


@pytest.mark.asyncio
async def test_7_an_exhausted_pool_fails_fast(dsn: str, tmp_path: Path) -> None:
    size, waiting, calls = 3, 5, 60
    with item(7, "an exhausted pool fails fast") as result:
        result.tried = calls
        async with (
            serving(
                dsn,
                tmp_path,
                DATABASE_POOL_MAX_SIZE=size,
                DATABASE_POOL_MAX_WAITING=waiting,
                DATABASE_POOL_TIMEOUT_SECONDS=10,
            ) as server,
            connected(server.address) as client,
            await psycopg.AsyncConnection.connect(dsn) as beside,
        ):
            await beside.execute("lock table messages in share mode")
            took: dict[int, float] = {}

            async def call(number: int) -> grpc.StatusCode:
                started = time.monotonic()
                try:
                    # Of a tenant each: messages of one are committed together, on one connection.
                    await client.memory.IngestMessage(message("pool", tenant_id=f"t{number}"), timeout=30)
                except grpc.aio.AioRpcError as error:
                    took[number] = time.monotonic() - started
                    return error.code()
                return grpc.StatusCode.OK

            sent = [asyncio.ensure_future(call(number)) for number in range(calls)]
            await until(lambda: sum(s.done() for s in sent) >= calls - size - waiting - 3, 8, "the excess is refused")
            slowest = max(took.values())
            await beside.commit()
            codes = await asyncio.gather(*sent)
            accepted = codes.count(grpc.StatusCode.OK)
            result.note = f"{accepted} accepted, the last of the excess refused after {slowest * 1000:.0f} ms"
            assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
            assert accepted <= size + waiting
            assert slowest < 1, "refusing does not wait for the pool"
            health = await client.admin.GetHealth(admin.GetHealthRequest(), timeout=5)
            assert health.status == "ok"
            assert (await client.memory.IngestMessage(message("well again"), timeout=5)).id
        result.held = calls


@pytest.mark.asyncio
async def test_7_overload(dsn: str, tmp_path: Path) -> None:
    """Half, once, twice and four times the capacity, open loop; with the real model in the long form."""
    seconds = rounds("OVERLOAD_SECONDS", 1)
    is_strict = seconds >= STRICT_SECONDS
    provider = "sentence_transformer" if is_strict else "hashing"
    with item(7, f"0.5/1/2/4 x capacity, open loop, {seconds} s each") as result:
        result.tried = 4
        # A second's calls must be more than there are places, on a slow machine too.
        places = {} if is_strict else {"MAX_CALLS_IN_FLIGHT": 16}
        async with serving(dsn, tmp_path, EMBEDDING_PROVIDER=provider, LOG_LEVEL="ERROR", **places) as server:
            await capacity(server, min(seconds, 5), 16)  # the first calls warm pools, plans and caches
            able = await capacity(server, seconds, 32 if is_strict else 16)
            points = await curve(server, able, seconds, DEADLINE)
            async with connected(server.address) as client:
                assert (await client.memory.IngestMessage(message("well again"), timeout=10)).id
        print(f"\ncapacity {able:.0f}/s\n{report(points)}")
        peak = max(able, *(point.goodput for point in points))
        most = points[-1]
        result.note = (
            f"capacity {able:.0f}/s; at 4x goodput {100 * most.goodput / peak:.0f} % of the peak, accepted p99 "
            f"{most.ms('OK', 'p99'):.0f} ms, refused p50/p99 {most.ms('RESOURCE_EXHAUSTED', 'p50'):.0f}/"
            f"{most.ms('RESOURCE_EXHAUSTED', 'p99'):.0f} ms, RSS {most.rss_mb:.0f} MB"
        )
        faults = [f for point in points for f in point.faults(peak, points[0].rss_mb, DEADLINE, is_strict=is_strict)]
        result.held = len([p for p in points if not p.faults(peak, points[0].rss_mb, DEADLINE, is_strict=is_strict)])
        assert not faults, faults
        assert most.figures["codes"].get("RESOURCE_EXHAUSTED", 0) > 0, "nothing was refused at four times the capacity"

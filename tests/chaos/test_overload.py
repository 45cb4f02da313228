"""More than the service can do: the excess is refused at once, and the service is well afterwards."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import grpc
import psycopg
import pytest

from memory_layer.v1 import admin_service_pb2 as admin
from tests.chaos.harness import connected, item, message, serving, until


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
                    await client.memory.IngestMessage(message(f"pool {number}"), timeout=30)
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
            assert slowest < 2, "refusing does not wait for the pool"
            health = await client.admin.GetHealth(admin.GetHealthRequest(), timeout=5)
            assert health.status == "ok"
            assert (await client.memory.IngestMessage(message("well again"), timeout=5)).id
        result.held = calls

"""What /metrics and Envoy's statistics show of a server at work."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from memory_grpc.errors import StoreUnavailable
from memory_grpc.jobs.measure import Measure, MeasureSizes
from memory_grpc.observability import metrics
from memory_grpc.store.database import Database
from tests.conftest import StartRest, free_port

ROOT = Path(__file__).parents[2]
MESSAGE = {"tenant_id": "t", "conversation_id": "c", "role": "user", "content": "hello"}


def value(text: str, name: str, **labels: str) -> float | None:
    """A sample of a page of metrics."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


async def until(read: Callable[[], Awaitable[Any]], wanted: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(30):
        while not wanted(found := await read()):
            await asyncio.sleep(0.05)
    return found


@pytest.mark.asyncio
async def test_a_server_at_work_shows_itself_its_database_and_its_envoy(
    start_rest: StartRest, rows: Callable[..., Any]
) -> None:
    stats_port = free_port()
    async with start_rest(envoy_stats_port=stats_port, retention_schedule_seconds=3600) as rest:
        assert (await rest.http.post("/v1/messages", json=MESSAGE)).status_code == 202

        async def page() -> str:
            return (await rest.http.get("/metrics")).text

        swept = "memory_retention_last_sweep_timestamp_seconds"
        text = await until(page, lambda text: value(text, swept) and value(text, "memory_database_up") == 1)
        assert value(text, "memory_build_info", version="0.1.0") == 1
        assert value(text, "memory_serving") == 1
        assert value(text, "memory_database_writable") == 1
        assert value(text, "memory_retention_schedule_seconds") == 3600
        assert value(text, "memory_background_errors_total", loop="retention") == 0
        assert (value(text, "memory_database_pool_max") or 0) >= (value(text, "memory_database_pool_size") or 0) > 0
        rows("analyze messages")
        await MeasureSizes(rest.server.database)()
        text = await page()
        assert value(text, "memory_messages") == 1
        assert (value(text, "memory_database_bytes", table="messages") or 0) > 0

        envoy = f"http://127.0.0.1:{stats_port}"
        async with httpx.AsyncClient(base_url=envoy, trust_env=False) as http:
            stats = (await http.get("/stats/prometheus")).text
            # The rest of the admin interface can stop Envoy.
            assert (await http.get("/config_dump")).status_code == 404
            assert (await http.post("/quitquitquit")).status_code == 404
            assert (await http.post("/stats/prometheus")).status_code == 404
    documented = set(re.findall(r"^\| `(envoy_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    shown = set(re.findall(r"^(envoy_\w+)", stats, re.MULTILINE))
    assert documented
    assert documented - shown == set()


@pytest.mark.asyncio
async def test_a_database_that_is_away_is_down_until_it_answers_again(database: Database) -> None:
    await Measure(database)()
    assert metrics.DATABASE_UP._value.get() == 1
    away = Database("host=/nowhere port=1", min_size=0, max_size=1, max_waiting=1, timeout_seconds=0.2)
    await away.open()
    try:
        with pytest.raises(StoreUnavailable):
            await Measure(away)()
    finally:
        await away.close()
    assert metrics.DATABASE_UP._value.get() == 0
    assert metrics.DATABASE_WRITABLE._value.get() == 0
    await Measure(database)()
    assert metrics.DATABASE_UP._value.get() == 1

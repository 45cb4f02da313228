"""What the edge holds at most: connections and memory. Past that it refuses, and goes on."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from memory_grpc.local import envoy_config
from tests.chaos.edge import edge, patch_envoy
from tests.chaos.harness import item, until
from tests.conftest import settings_for_tests

pytestmark = pytest.mark.timeout(300)


@pytest.mark.asyncio
async def test_16_connections_past_the_limit_are_closed_and_it_goes_on(dsn: str, tmp_path: Path) -> None:
    """envoy.yaml's limit of connections: the excess is hung up on, and those who were there first are served."""
    limit = 1000
    assert f"max_active_downstream_connections: {limit}" in envoy_config.render(settings_for_tests())
    with item(16, f"{limit} connections and more") as result:
        result.tried = 1
        async with edge(dsn, tmp_path) as running:
            assert await running.is_well()  # the client's own connection stays open
            opened = []
            closed = 0
            try:
                for _ in range(limit + 20):
                    opened.append(await asyncio.open_connection("127.0.0.1", running.port))
                for reader, _ in opened[-20:]:
                    with suppress(TimeoutError, ConnectionError):
                        closed += await asyncio.wait_for(reader.read(1), 5) == b""
                assert closed >= 15, "connections past the limit are closed"
                assert await running.is_well(), "who was there first is served"
            finally:
                for _, writer in opened:
                    writer.close()
            result.note = f"{closed} of the last 20 closed at once"
        result.held = 1


@pytest.mark.asyncio
async def test_16_a_full_heap_refuses_calls_in_the_services_words(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The overload manager at work: with a heap that is full from the start no call comes in, and Envoy lives."""
    patch_envoy(monkeypatch, {"max_heap_size_bytes: 536870912": "max_heap_size_bytes: 1048576"})
    with item(16, "a heap that is full") as result:
        result.tried = 2
        async with edge(dsn, tmp_path) as running:

            async def is_noticed() -> bool:
                return (await running.http.get("/metrics")).status_code == 503

            await until(is_noticed, 5, "Envoy looks at its heap")
            for path in ("/v1/admin/health", "/metrics"):
                answer = await running.http.get(path)
                assert (answer.status_code, answer.json()["code"]) == (503, 14), answer.text
                assert running.is_running
                result.held += 1

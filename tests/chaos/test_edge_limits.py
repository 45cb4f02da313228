"""What the edge holds at most: connections and memory. Past that it refuses, and goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from memory_grpc.local import envoy_config
from tests.chaos.edge import edge, patch_envoy
from tests.chaos.harness import item, until
from tests.conftest import envoy_running, free_port, settings_for_tests

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
                for number in range(limit + 20):  # one address may not have so many
                    source = (f"127.0.0.{number % 16 + 1}", 0)
                    opened.append(await asyncio.open_connection("127.0.0.1", running.port, local_addr=source))
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


@asynccontextmanager
async def holding(port: int, host: str, count: int) -> AsyncIterator[Callable[[], int]]:
    """Keeps ``count`` connections from an address of loopback; how many of them are open."""
    target = "::1" if ":" in host else "127.0.0.1"
    streams = [await asyncio.open_connection(target, port, local_addr=(host, 0)) for _ in range(count)]
    try:
        yield lambda: sum(not reader.at_eof() and reader.exception() is None for reader, _ in streams)
    finally:
        for _, writer in streams:
            writer.close()


async def is_served(port: int, host: str) -> bool:
    """Whether Envoy answers a call from an address."""
    transport = httpx.AsyncHTTPTransport(local_address=host)
    url = f"http://{'[::1]' if ':' in host else '127.0.0.1'}:{port}/nothing"
    async with httpx.AsyncClient(transport=transport, timeout=10) as client:
        try:
            return (await client.get(url)).status_code == 404
        except httpx.TransportError:
            return False


@pytest.mark.asyncio
async def test_16_no_address_holds_every_connection(tmp_path: Path) -> None:
    """An address gets 400 of them, and by that shuts out a quarter of the others of IPv4, or those of IPv6."""
    share, crowd = 400, [f"127.0.1.{number}" for number in range(1, 101)]
    settings = settings_for_tests(http_host="::", http_port=free_port(), allowed_hosts="*")
    port = settings.http_port
    with item(16, "one address and its share of the connections") as result:
        result.tried = 2
        async with envoy_running(settings, tmp_path / "envoy"):
            for greedy, others in (("127.0.0.1", "::1"), ("::1", "127.0.0.1")):
                async with holding(port, greedy, share + 20) as held:
                    await until(lambda held=held: held() <= share, 10, "those past the share are closed")
                    assert not await is_served(port, greedy)
                    assert await is_served(port, others)
                    served = sum([await is_served(port, host) for host in crowd])
                    assert 60 <= served <= 90 if ":" in others else served == len(crowd), served
                    assert held() == share, greedy
                    result.note += f"{served} of {len(crowd)} others served beside {greedy}. "

                async def again(host: str = greedy) -> bool:
                    return await is_served(port, host)

                await until(again, 5, "places are given back")
                result.held += 1


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

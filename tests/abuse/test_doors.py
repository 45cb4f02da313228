"""What strangers can do to the doors: streams that stay, deadlines that pass, guesses, names."""

from __future__ import annotations

import re
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2

from memory_grpc.interceptors.share import MOST_WATCHES
from tests.abuse import deaf_watch, guesses, many_headers, short_deadlines, unknown_methods, watches
from tests.abuse.instance import VICTIM, search, under_attack


@pytest.mark.asyncio
async def test_an_address_has_a_few_watches_and_everybody_is_served(dsn: str, tmp_path: Path) -> None:
    async with under_attack(dsn, tmp_path) as instance, AsyncExitStack() as stack:
        counts = await watches.opened(instance, stack)
        assert counts == {"OK": MOST_WATCHES, "RESOURCE_EXHAUSTED": watches.STREAMS - MOST_WATCHES}
        await instance.victim.memory.SearchMemories(search("q", VICTIM), timeout=10)
        assert await instance.victim.is_serving()


@pytest.mark.asyncio
async def test_deadlines_that_pass_at_once_do_not_close_the_door(dsn: str, tmp_path: Path) -> None:
    async with under_attack(dsn, tmp_path, MAX_CALLS_IN_FLIGHT=20, DATABASE_POOL_MAX_SIZE=2) as instance:
        await short_deadlines.attack(instance)
        page = await instance.metrics()
        assert re.search(r'^memory_calls_places\{kind="read"\} 20.0$', page, re.MULTILINE)
        await instance.victim.memory.SearchMemories(search("q", VICTIM), timeout=10)


@pytest.mark.asyncio
async def test_guesses_by_reflection_are_counted(dsn: str, tmp_path: Path) -> None:
    async with under_attack(dsn, tmp_path, GLOBAL_RATE_LIMIT="20/hour") as instance:
        counts = await guesses.guessed(instance)
        # Making the two keys were calls too.
        assert counts == {"UNAUTHENTICATED": 18, "RESOURCE_EXHAUSTED": guesses.GUESSES - 18}
        assert await instance.victim.is_serving(), "probes are counted apart"


@pytest.mark.asyncio
async def test_names_of_strangers_are_no_metrics(dsn: str, tmp_path: Path) -> None:
    async with under_attack(dsn, tmp_path, MAX_CALLS_IN_FLIGHT=1) as instance:
        await unknown_methods.attack(instance)
        assert unknown_methods.NAME not in await instance.metrics()


@pytest.mark.asyncio
async def test_a_watch_that_takes_no_answer_holds_up_no_other_and_no_shutdown(dsn: str, tmp_path: Path) -> None:
    async with under_attack(dsn, tmp_path) as instance, deaf_watch.held(instance.address):
        status = await instance.victim.health.Watch(health_pb2.HealthCheckRequest(), timeout=10).read()
        assert status.status == health_pb2.HealthCheckResponse.SERVING
        instance.server.send(signal.SIGTERM)
        assert await instance.server.ended(10) == 0


@pytest.mark.asyncio
async def test_calls_with_thousands_of_headers_are_not_kept(dsn: str, tmp_path: Path) -> None:
    async with under_attack(dsn, tmp_path) as instance:
        assert await many_headers.refused(instance) == many_headers.CALLS

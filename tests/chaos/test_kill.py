"""Killed and cut: nothing acknowledged is lost, nothing is stored twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from uuid import uuid4

import grpc
import psutil
import psycopg
import pytest

from memory_grpc.local.postgres import EmbeddedPostgres
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import (
    TRY_AGAIN,
    Load,
    Proxy,
    connected,
    faults_of_store,
    fetch,
    item,
    message,
    rounds,
    serving,
    until,
)

pytestmark = pytest.mark.timeout(3600)


@pytest.mark.asyncio
async def test_1_sigkill_of_the_server_under_load(dsn: str, tmp_path: Path) -> None:
    chance = random.Random(1)
    with item(1, "SIGKILL of the server, 32 clients") as result:
        async with serving(dsn, tmp_path) as server:
            load = Load(server.address)
            async with load.running():
                for _ in range(rounds("KILL_SERVER", 2)):
                    result.tried += 1
                    await load.more(chance.randint(50, 200))
                    await server.kill()
                    await server.start()
                    await load.more(32)
                    # What is in flight now is neither here nor there: look at what was acknowledged before.
                    before = dict(load.acknowledged)
                    stored = {r[0] for r in fetch(dsn, "select id::text from messages")}
                    assert set(before.values()) <= stored
                    result.held += 1
            faults = faults_of_store(dsn, load.acknowledged)
            result.note = f"{len(load.acknowledged)} messages, {load.failures.total()} failed calls"
            if faults or not set(load.failures) <= TRY_AGAIN:
                result.held = 0
            assert not faults, faults[:10]
            assert set(load.failures) <= TRY_AGAIN, load.texts


def _kill_postmaster(postgres: EmbeddedPostgres, _: str) -> None:
    """Its backends notice, each in its own time; some may still commit."""
    assert postgres.pid is not None
    os.kill(postgres.pid, signal.SIGKILL)


def _kill_every_process(postgres: EmbeddedPostgres, _: str) -> None:
    """Nobody commits any more, as when a container is gone."""
    postmaster = psutil.Process(postgres.pid)
    for process in [postmaster, *postmaster.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _kill_a_backend(_: EmbeddedPostgres, dsn: str) -> None:
    """The postmaster ends all others then, and recovers by itself. Who was in no statement may notice nothing."""
    os.kill(_backends(dsn)[0], signal.SIGKILL)


def _backends(dsn: str) -> list[int]:
    """The process ids of the server's connections, those at work first; none while Postgres does not answer."""
    pids = "select pid from pg_stat_activity where application_name = 'memory-grpc' order by state = 'active' desc"
    with suppress(psycopg.OperationalError):
        return [row[0] for row in fetch(dsn, pids)]
    return []


KILLS = (_kill_postmaster, _kill_every_process, _kill_a_backend)


@pytest.mark.asyncio
async def test_2_sigkill_of_postgres_under_load(tmp_path: Path) -> None:
    """In turns the postmaster, every process of it, and a single backend. Then it is started again on its directory."""
    chance = random.Random(2)
    postgres = EmbeddedPostgres(tmp_path / "pg")
    dsn = await asyncio.to_thread(postgres.start)
    slowest = 0.0
    try:
        with item(2, "SIGKILL of Postgres, 32 clients") as result:
            async with serving(dsn, tmp_path) as server:
                load = Load(server.address)
                async with load.running():
                    for _, kill in zip(range(rounds("KILL_POSTGRES", 3)), cycle(KILLS), strict=False):
                        result.tried += 1
                        await load.more(chance.randint(50, 200))
                        failed, before = load.failures.total(), set(_backends(dsn))
                        kill(postgres, dsn)
                        started = time.monotonic()
                        if kill is _kill_a_backend:
                            await until(
                                lambda old=before: (new := _backends(dsn)) and not old & set(new), 20, "recovery"
                            )
                        else:
                            await until(lambda seen=failed: load.failures.total() > seen, 20, "a client noticed")
                            await until(lambda: postgres.poll() is not None, what="Postgres is dead")
                            await asyncio.to_thread(postgres.stop)  # frees the directory's lock
                            started = time.monotonic()
                            assert await asyncio.to_thread(postgres.start) == dsn
                        await load.more(load.clients, 20)
                        # Recovery included.
                        slowest = max(slowest, time.monotonic() - started)
                        assert slowest < 10, f"serving again after {slowest:.1f} s"
                        assert server.is_running
                        result.held += 1
                faults = faults_of_store(dsn, load.acknowledged)
                result.note = (
                    f"{len(load.acknowledged)} messages, {load.failures.total()} failed calls, serving again in "
                    f"{slowest:.2f} s at most"
                )
                if faults or not set(load.failures) <= TRY_AGAIN:
                    result.held = 0
                assert not faults, faults[:10]
                assert set(load.failures) <= TRY_AGAIN, load.texts
    finally:
        await asyncio.to_thread(postgres.stop)


@pytest.mark.asyncio
async def test_3_cut_between_commit_and_response(dsn: str, tmp_path: Path) -> None:
    todo = iter(range(rounds("CUT", 25)))
    with item(3, "cut between commit and response, retried") as result:
        async with serving(dsn, tmp_path) as server, asyncio.TaskGroup() as group:

            async def worker() -> None:
                async with (
                    Proxy(server.grpc_port) as proxy,
                    await psycopg.AsyncConnection.connect(dsn, autocommit=True) as beside,
                ):
                    for number in todo:
                        result.tried += 1
                        await once(proxy, beside, message(f"cut {number}", request_id=str(uuid4())))
                        result.held += 1

            async def once(proxy: Proxy, beside: psycopg.AsyncConnection, request: pb.IngestMessageRequest) -> None:
                async def stored() -> list[tuple[str, ...]]:
                    found = await beside.execute("select id::text from messages where content = %s", [request.content])
                    return await found.fetchall()

                proxy.mute = False
                async with connected(proxy.address) as client:
                    assert await client.is_serving()
                    proxy.mute = True
                    call = client.memory.IngestMessage(request, timeout=30)
                    sending = asyncio.ensure_future(call)
                    await until(stored, what="committed")
                    assert not sending.done()
                    proxy.cut()
                    with pytest.raises(grpc.aio.AioRpcError) as error:
                        await sending
                    assert error.value.code() == grpc.StatusCode.UNAVAILABLE
                proxy.mute = False
                async with connected(proxy.address) as client:
                    again = await client.memory.IngestMessage(request, timeout=30)
                assert await stored() == [(again.id,)]

            for _ in range(4):
                group.create_task(worker())

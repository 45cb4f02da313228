"""Killed in the middle of an erasure: exactly what was planned is erased in the end, and nothing by halves."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import psutil
import psycopg
import pytest

from memory_grpc.jobs import erase
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_layer.v1 import erasure_service_pb2 as pb
from memory_layer.v1 import memory_service_pb2 as memory
from tests.chaos import short_pauses
from tests.chaos.harness import (
    TRY_AGAIN,
    Client,
    ServerProcess,
    connected,
    fetch,
    item,
    message,
    rounds,
    serving,
    until,
)
from tests.projections import ADRIFT

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(3600)]

MESSAGES = 4 * erase.BATCH
IDS = "select array_agg(id::text order by id) from messages where conversation_id = %s"
BACKENDS = """
select pid from pg_stat_activity where application_name like 'memory-grpc%'
order by query ilike '%delete from%' desc, state = 'active' desc
"""
PROGRESS = "select erased, state from erasures where id = %s"
FILLED = ("messages", "message_embeddings", "message_lexemes", "idempotency_keys")
ORPHANS = "select count(*) from idempotency_keys k where not exists (select from messages m where m.id = k.message_id)"


async def _kill_the_server(server: ServerProcess, _: EmbeddedPostgres, dsn: str) -> None:
    await server.kill()
    # So that no round waits for half a minute: the lease has run out.
    fetch(dsn, "update leases set expires_at = now()")
    await server.start()


async def _kill_postgres(_: ServerProcess, postgres: EmbeddedPostgres, dsn: str) -> None:
    assert postgres.pid is not None
    postmaster = psutil.Process(postgres.pid)
    for process in [postmaster, *postmaster.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    await until(lambda: postgres.poll() is not None, what="Postgres is dead")
    await asyncio.to_thread(postgres.stop)  # frees the directory's lock
    assert await asyncio.to_thread(postgres.start) == dsn


async def _kill_the_backend_at_work(_: ServerProcess, __: EmbeddedPostgres, dsn: str) -> None:
    """The postmaster ends all others then, and recovers by itself."""
    before = fetch(dsn, BACKENDS)
    os.kill(before[0][0], signal.SIGKILL)

    def is_back() -> bool:
        with suppress(psycopg.OperationalError):
            return not set(before) & set(fetch(dsn, BACKENDS))
        return False

    await until(is_back, 20, "recovery")


Kill = Callable[[ServerProcess, EmbeddedPostgres, str], Awaitable[None]]
KILLS: tuple[Kill, ...] = (
    _kill_the_server,
    _kill_postgres,
    _kill_the_backend_at_work,
)


async def _ingest(client: Client, conversation: str, count: int) -> None:
    """Messages of a conversation, each with a request id."""
    for start in range(0, count, 500):
        batch = [
            message(f"{conversation} {n}", conversation_id=conversation, request_id=str(uuid4()))
            for n in range(start, min(start + 500, count))
        ]
        await client.memory.BatchIngestMessages(memory.BatchIngestMessagesRequest(messages=batch), timeout=60)


async def _insist(call: Callable[[], Any]) -> Any:
    """The answer, whatever is down meanwhile."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                assert error.code() in TRY_AGAIN, error
                await asyncio.sleep(0.1)


async def _round(
    kill: Kill, server: ServerProcess, client: Client, postgres: EmbeddedPostgres, dsn: str, number: int
) -> bool:
    """Plans, applies and kills; True when the erasure was not done yet when it was killed."""
    chance = random.Random(number)
    conversation = f"round {number}"
    await _ingest(client, conversation, MESSAGES)
    before, bystanders = set(fetch(dsn, IDS, conversation)[0][0]), fetch(dsn, IDS, "bystanders")
    request = pb.PlanErasureRequest(tenant_id="chaos", conversation_id=conversation)
    planned = (await client.erasure.PlanErasure(request, timeout=60)).erasure
    assert planned.planned == MESSAGES
    await _ingest(client, conversation, 20)
    late = sorted(set(fetch(dsn, IDS, conversation)[0][0]) - before)
    one = {"tenant_id": "chaos", "erasure_id": planned.erasure_id}
    await client.erasure.ApplyErasure(pb.ApplyErasureRequest(**one), timeout=60)

    # At some moment of it, mostly while messages go, now and then while it is cleaned up.
    wanted = chance.choice([1, erase.BATCH, 2 * erase.BATCH, 3 * erase.BATCH, MESSAGES])
    await until(lambda: fetch(dsn, PROGRESS, planned.erasure_id)[0][0] >= wanted, 30, "begun")
    await asyncio.sleep(chance.random() * 0.05)
    await kill(server, postgres, dsn)

    erased, state = fetch(dsn, PROGRESS, planned.erasure_id)[0]
    assert erased % erase.BATCH == 0, "batches are whole"

    async def done() -> pb.Erasure | None:
        found = await _insist(lambda: client.erasure.GetErasure(pb.GetErasureRequest(**one), timeout=10))
        return found if found.state == "done" else None

    found = await until(done, 60, "done")
    assert found.erased == found.planned == MESSAGES
    assert {row.table: row.rows for row in found.erased_rows if row.rows} == dict.fromkeys(FILLED, MESSAGES)
    assert fetch(dsn, IDS, conversation)[0][0] == late
    assert fetch(dsn, IDS, "bystanders") == bystanders
    for nothing in (ADRIFT, ORPHANS, "select count(*) from erasure_items"):
        assert fetch(dsn, nothing) == [(0,)], nothing
    verified = await _insist(lambda: client.erasure.VerifyErasure(pb.VerifyErasureRequest(**one), timeout=60))
    assert verified.clean, verified
    return bool(state != "done")


async def test_17_killed_in_the_middle_of_an_erasure(tmp_path: Path) -> None:
    """In turns the server, every process of Postgres, and the backend that erases."""
    postgres = EmbeddedPostgres(tmp_path / "pg")
    dsn = await asyncio.to_thread(postgres.start)
    unfinished = 0
    try:
        with item(17, "SIGKILL in the middle of an erasure") as result:
            async with (
                serving(dsn, tmp_path, command=short_pauses.COMMAND, REQUEST_TIMEOUT_SECONDS=60) as server,
                connected(server.address) as client,
            ):
                await _ingest(client, "bystanders", 100)
                for number, kill in zip(range(rounds("KILL_ERASURE", 3)), cycle(KILLS), strict=False):
                    result.tried += 1
                    unfinished += await _round(kill, server, client, postgres, dsn, number)
                    result.held += 1
            result.note = f"{result.tried * MESSAGES} messages, {unfinished} times before the end"
            assert unfinished, "the kills came too late to show anything"
    finally:
        await asyncio.to_thread(postgres.stop)

"""A cluster changes while messages are stored and searched: shards move, a worker dies. Nothing acknowledged is
lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import until
from tests.conftest import StartServer
from tests.scale.citus_traffic import Traffic
from tests.scale.citus_workers import Process, move, place, run, workers
from tests.scale.conftest import LOST, on_a_cluster

pytestmark = [on_a_cluster, pytest.mark.asyncio]


def one_of_each(dsn: str) -> list[str]:
    """A tenant of each of two workers."""
    found: dict[Any, str] = {}
    for number in range(100):
        found.setdefault(place(dsn, f"tenant-{number}"), f"tenant-{number}")
    first, second, *_ = workers(dsn)
    return [found[first], found[second]]


async def test_shards_move_under_load_and_nobody_notices(
    start_server: StartServer, citus: str, on_citus: Callable[..., Any]
) -> None:
    moving, staying = one_of_each(citus)
    to = place(citus, staying)
    async with start_server(citus, accept_data_loss_with=LOST) as server:
        traffic = Traffic(server.memory, [moving, staying], "moved")
        async with traffic.running():
            await traffic.more(3)
            await asyncio.to_thread(move, citus, moving, to)
            await traffic.more(3)
    assert place(citus, moving) == to
    assert traffic.failures == []
    assert traffic.lost(citus) == []


async def test_a_worker_dies_and_what_was_acknowledged_is_there_when_it_is_back(
    start_server: StartServer, citus: str, on_citus: Callable[..., Any]
) -> None:
    spared, hit = one_of_each(citus)
    process = Process(citus, place(citus, hit))
    async with start_server(citus, accept_data_loss_with=LOST) as server:
        traffic = Traffic(server.memory, [spared, hit], "died")
        async with traffic.running():
            await traffic.more(3)
            await asyncio.to_thread(process.kill)
            try:
                await until(lambda: {one.kind for one in traffic.failures} == {"ingest", "search"}, 30)
                await traffic.more(3, spared)
                by_id = pb.GetMessageRequest(message_id=next(iter(traffic.acknowledged.values())))
                with pytest.raises(grpc.aio.AioRpcError) as unanswered:
                    await server.memory.GetMessage(by_id)
                assert unanswered.value.code() is grpc.StatusCode.UNAVAILABLE, "any shard may have it"
            finally:
                await asyncio.to_thread(process.start)
            await traffic.more(10)
    assert {(one.tenant, one.code) for one in traffic.failures} == {(hit, "UNAVAILABLE")}
    # Citus ends once a minute what was cut off between two nodes.
    run(citus, "select recover_prepared_transactions()")
    assert traffic.lost(citus) == []

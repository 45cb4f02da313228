"""Addresses of replicas that lead to none, and copies that must not be read: the primary answers, at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import grpc
import prometheus_client
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from memory_layer.v1 import context_pb2 as context
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import transfer_service_pb2 as transfer
from tests.conftest import RunningServer, StartServer
from tests.scale.nodes import Node, either
from tests.scale.reading import TENANT, found, is_up, reads, stored, until

pytestmark = pytest.mark.asyncio


def sample(name: str, node: str) -> float | None:
    return prometheus_client.REGISTRY.get_sample_value(name, {"node": node})


async def test_a_node_that_cannot_be_reached_costs_nobody_time(
    nodes: tuple[Node, Node], start_server: StartServer
) -> None:
    primary, replica = nodes
    with_password = make_conninfo(replica.dsn, user="nobody_there", password="wrong")
    urls = ["postgresql://u:p@no-such-host.invalid/db", with_password, "postgresql://u@[::1]:1/db"]
    async with start_server(primary.dsn, database_read_urls=[SecretStr(url) for url in urls]) as server:
        await stored(server, "reachable all the same")
        await asyncio.sleep(1)
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            assert await found(server, "reachable all the same")
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 2  # two calls; a try to connect would take as long each
        assert [sample("memory_replica_up", f"replica-{n}") for n in (1, 2, 3)] == [0, 0, 0]


async def test_another_cluster_is_never_read(
    nodes: tuple[Node, Node], tmp_path: Path, start_server: StartServer
) -> None:
    """Its log is longer than the primary's, and it has the same tables: only its name tells."""
    primary, _ = nodes
    other = Node(tmp_path / "other").start()
    try:
        async with start_server(other.dsn):
            pass
        other.run("select pg_switch_wal()")
        while other.run("select pg_current_wal_lsn() < '0/8000000'") == [(True,)]:
            other.run("create table if not exists filler (x text); insert into filler select repeat('x', 9999)")
            other.run("select pg_switch_wal()")
        async with start_server(primary.dsn, database_read_urls=[SecretStr(other.dsn)]) as server:
            await stored(server, "not in the other cluster")
            await asyncio.sleep(1)
            for _ in range(10):
                assert await found(server, "not in the other cluster")
            assert sample("memory_replica_up", "replica-1") == 0
    finally:
        other.stop()


async def test_a_standby_that_was_promoted_beside_its_primary_is_read_no_more(
    nodes: tuple[Node, Node], tmp_path: Path, start_server: StartServer
) -> None:
    primary, _ = nodes
    apart = primary.replica(tmp_path / "apart", "apart").start()
    try:
        async with start_server(primary.dsn, database_read_urls=[SecretStr(apart.dsn)]) as server:
            await until(is_up)
            await stored(server, "known to both sides")
            before = reads("replica-1")
            async with asyncio.timeout(20):
                while reads("replica-1") < before + 3:
                    assert await found(server, "known to both sides")
            apart.run("select pg_promote()")
            await until(lambda: not is_up())
            # Its log goes on by itself, past what the primary writes.
            apart.run("create table own as select repeat('x', 9999) from generate_series(1, 1000)")
            for number in range(10):
                await stored(server, f"after the split {number}")
                assert await found(server, f"after the split {number}")
            assert reads("replica-1") >= before + 3
    finally:
        apart.stop()


async def test_a_replica_of_the_lost_primary_is_read_again_once_it_follows_the_promoted_one(
    tmp_path: Path, start_server: StartServer
) -> None:
    """It may have log that the promoted node never had: its positions mean nothing before it is on the new timeline."""
    primary = Node(tmp_path / "primary").start()
    others = [primary]
    try:
        others += [primary.replica(tmp_path / name, name).start() for name in ("next", "third")]
        _, heir, third = others
        url = SecretStr(third.dsn)
        async with start_server(either(primary, heir), database_read_urls=[url], request_timeout_seconds=10) as server:
            await until(is_up)
            await stored(server, "before the promotion")
            primary.kill()
            heir.run("select pg_promote()")
            await until(lambda: not is_up())
            assert await found(server, "before the promotion")
            parts = conninfo_to_dict(heir.dsn)
            source = make_conninfo(host=parts["host"], port=parts["port"], user=parts["user"], application_name="third")
            third.run(f"alter system set primary_conninfo = '{source}'")
            third.run("select pg_reload_conf()")
            await stored(server, "after the promotion")
            assert await found(server, "after the promotion")
            await until(is_up)
            before = reads("replica-1")
            async with asyncio.timeout(20):
                while reads("replica-1") < before + 3:
                    assert await found(server, "after the promotion")
    finally:
        for node in reversed(others):
            node.stop()


async def test_a_replica_that_is_behind_when_the_server_starts_gets_no_reads_until_it_has_caught_up(
    nodes: tuple[Node, Node], settings: dict[str, Any], start_server: StartServer
) -> None:
    """A migration that it lacks above all."""
    primary, replica = nodes
    replica.pause()
    try:
        async with start_server(primary.dsn) as other:
            await other.memory.IngestMessage(
                pb.IngestMessageRequest(tenant_id=TENANT, conversation_id="c", role="user", content="before the start")
            )
        primary.run("create table if not exists migrated_just_now ()")
        async with start_server(primary.dsn, **settings) as server:
            await until(is_up)
            for _ in range(10):
                assert await found(server, "before the start")
            replica.run("select pg_wal_replay_resume()")
            before = reads("replica-1")
            async with asyncio.timeout(20):
                while reads("replica-1") < before + 3:
                    assert await found(server, "before the start")
    finally:
        replica.run("select pg_wal_replay_resume()")


@pytest.mark.parametrize("position", ["FFFFFFFF/FFFFFFFF", "FFFFFFFF/FFFFFFFE", "ffffffff/0", "7fffffff/00000000"])
async def test_a_position_that_nobody_has_is_answered_by_the_primary_after_one_short_wait(
    position: str, server: RunningServer
) -> None:
    await stored(server, "whatever is asked for")
    began, count = time.monotonic(), 20
    for _ in range(count):
        assert await found(server, "whatever is asked for", ("x-min-lsn", position))
    assert time.monotonic() - began < count * 1.0  # two calls, of which each waits for 20 ms


@pytest.mark.parametrize(
    "position", ["", "1", "0/0/0", "0/-1", "0x1/2", "G/0", "0/1 ", "1" * 9 + "/0", "F" * 5000, "%s/0"]
)
async def test_what_is_no_position_is_refused_in_words_of_ours(position: str, server: RunningServer) -> None:
    request = pb.SearchMemoriesRequest(tenant_id=TENANT, query="any")
    if position == "":
        await server.memory.SearchMemories(request, metadata=(("x-min-lsn", position),))
        return
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await server.memory.SearchMemories(request, metadata=(("x-min-lsn", position),))
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == "x-min-lsn: send the value of a header x-lsn, such as 16/B374D848."


async def test_a_replica_that_is_far_behind_holds_each_call_up_once(
    nodes: tuple[Node, Node], settings: dict[str, Any], start_server: StartServer
) -> None:
    primary, replica = nodes
    async with start_server(primary.dsn, **settings | {"database_read_wait_ms": 500.0}) as server:
        await until(is_up)
        replica.pause()
        try:
            await stored(server, "waited for")
            began = time.monotonic()
            assert await found(server, "waited for")  # a search of several transactions, and a list
            assert 0.9 < time.monotonic() - began < 2.5, "two waits, not one for each transaction"
        finally:
            replica.run("select pg_wal_replay_resume()")


async def test_reads_that_replay_cancels_are_done_on_the_primary(
    nodes: tuple[Node, Node], settings: dict[str, Any], start_server: StartServer
) -> None:
    """The replica lets replay cancel what stands in its way at once, and tells the primary of no read."""
    primary, replica = nodes

    async def cancels() -> int:
        """How often replay did; it also cancels who connects and looks, for the catalogs are vacuumed, too."""
        while True:
            try:
                return int((await asyncio.to_thread(replica.run, cancelled))[0][0])
            except psycopg.OperationalError as error:
                if "conflict with recovery" not in str(error):
                    raise

    for change in ("max_standby_streaming_delay = 0", "hot_standby_feedback = off"):
        replica.run(f"alter system set {change}")
    replica.run("select pg_reload_conf()")
    cancelled = "select coalesce(sum(confl_snapshot + confl_lock + confl_bufferpin), 0) from pg_stat_database_conflicts"
    stop = asyncio.Event()
    done = 0

    async with start_server(primary.dsn, **settings) as server:
        await until(is_up)
        batch = [
            pb.IngestMessageRequest(tenant_id=TENANT, conversation_id="c", role="user", content=f"turn {n}")
            for n in range(500)
        ]
        answer = await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch))
        id_ = answer.messages[0].id
        before = await cancels()

        async def reader() -> None:
            nonlocal done
            while not stop.is_set():
                await server.memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id=TENANT, query="turn", top_k=5))
                await server.memory.GetMessage(pb.GetMessageRequest(message_id=id_, tenant_id=TENANT))
                await server.memory.BuildContext(context.BuildContextRequest(tenant_id=TENANT, query="turn"))
                assert [one async for one in server.transfer.Export(transfer.ExportRequest(tenant_id=TENANT))]
                done += 1

        readers = [asyncio.create_task(reader()) for _ in range(4)]
        try:
            async with asyncio.timeout(90):
                while await cancels() < before + 10 and not any(one.done() for one in readers):
                    # Dead rows that vacuum takes away, and a lock that replay needs for cutting off an empty end.
                    await asyncio.to_thread(
                        primary.run, "update messages set updated_at = now() where tenant_id = 'acme'"
                    )
                    await asyncio.to_thread(primary.run, "vacuum (freeze) messages, message_embeddings")
        finally:
            stop.set()
            await asyncio.gather(*readers)
            for change in ("max_standby_streaming_delay", "hot_standby_feedback"):
                replica.run(f"alter system reset {change}")
            replica.run("select pg_reload_conf()")
    assert done

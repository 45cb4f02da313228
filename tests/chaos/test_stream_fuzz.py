"""Bytes of strangers on StreamIngest: each stream ends by the contract, and what was acknowledged before is stored."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import connected, faults_of_store, item, message, rounds, serving
from tests.chaos.test_fuzz import ANSWERS, WAYS, _mutated, _random, _valid

pytestmark = pytest.mark.timeout(7200)

OWN = [("grpc.use_local_subchannel_pool", 1)]  # a connection of one's own
METHOD = "/memory_layer.v1.MemoryService/StreamIngest"


def good(content: str) -> bytes:
    """A valid message of a stream."""
    return pb.StreamIngestRequest(message=message(content)).SerializeToString()


def frames(chance: random.Random, form: str, number: int) -> tuple[int, list[bytes]]:
    """One to four messages, good ones but for one; and the place of that one."""
    valid = [pb.StreamIngestRequest(message=m).SerializeToString() for m in _valid("IngestMessage")]
    sent = [good(f"stream {number} message {at}") for at in range(chance.randint(1, 4))]
    odd = chance.randrange(len(sent))
    sent[odd] = _random(chance) if form == "random bytes" else _mutated(chance, chance.choice(valid))
    return odd, sent


def stream(channel: grpc.Channel, odd: int, sent: list[bytes], codes: Counter[str], faults: list[str]) -> int:
    """Sends one stream; how many of its messages were acknowledged.

    By the blocking client: that of asyncio calls it INTERNAL itself when a stream ends while it is still sending.
    """
    acknowledged, code, details = 0, "OK", ""
    try:
        for _ in channel.stream_stream(METHOD)(iter(sent), timeout=30):
            acknowledged += 1
    except grpc.RpcError as error:
        code, details = error.code().name, str(error.details())
        if error.code() not in ANSWERS:
            faults.append(f"{code} {details} {[raw[:200].hex() for raw in sent]}")
        elif code == "INVALID_ARGUMENT" and acknowledged != odd:
            faults.append(f"{acknowledged} acknowledged before the {odd}th, which is wrong: {details}")
    else:
        if acknowledged != len(sent):
            faults.append(f"{acknowledged} of {len(sent)} acknowledged")
    codes[code] += 1
    return acknowledged


@pytest.mark.asyncio
@pytest.mark.parametrize("form", ["random bytes", "mutated messages"])
async def test_14_streams(form: str, dsn: str, tmp_path: Path) -> None:
    count = rounds("FUZZ", 300)
    codes: Counter[str] = Counter()
    faults: list[str] = []
    with item(14, f"{form}, StreamIngest") as result:
        async with serving(dsn, tmp_path) as server, connected(server.address) as client:
            chance = random.Random(f"14 stream {form}")
            streams = [frames(chance, form, number) for number in range(count)]
            with grpc.insecure_channel(server.address) as channel, ThreadPoolExecutor(WAYS) as pool:
                sent = [pool.submit(stream, channel, *each, codes, faults) for each in streams]
                total = sum(await asyncio.gather(*map(asyncio.wrap_future, sent)))
            health = await client.admin.GetHealth(admin.GetHealthRequest(), timeout=10)
            assert (health.status, server.is_running) == ("ok", True)
            result.tried, result.held = codes.total(), codes.total() - len(faults)
            result.note = ", ".join([*(f"{code} {n}" for code, n in codes.most_common()), f"{total} acknowledged"])
        assert not faults, "\n".join([*faults[:5], server.text[-3000:]])
        assert codes.total() == count
        halves = [fault for fault in faults_of_store(dsn, {}) if not fault.startswith(("never acknowledged", "stored"))]
        assert not halves


@pytest.mark.asyncio
async def test_14_streams_that_end_in_the_middle(dsn: str, tmp_path: Path) -> None:
    """Clients that leave: cancelled, or hung up on, at any moment."""
    count = rounds("FUZZ", 300) // 15
    with item(14, "streams that are left") as result:
        async with serving(dsn, tmp_path) as server:
            chance = random.Random("14 streams that are left")
            for number in range(count):
                result.tried += 1
                with grpc.insecure_channel(server.address, OWN) as channel:
                    endless = (good(f"left {number} {at}") for at in range(10_000))
                    call = channel.stream_stream(METHOD)(endless, timeout=30)
                    for _ in range(chance.randrange(3)):
                        next(call)
                    if chance.random() < 0.5:
                        call.cancel()
                result.held += 1
            async with connected(server.address) as client:
                assert (await client.admin.GetHealth(admin.GetHealthRequest(), timeout=10)).status == "ok"
                assert (await client.memory.IngestMessage(message("well"), timeout=10)).id
            assert server.is_running
            assert "unexpected" not in server.text, server.text[-3000:]

"""Bytes of strangers on the standard services: health and reflection take them as the service's own RPCs do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from memory_layer.v1 import admin_service_pb2 as admin
from tests.chaos.harness import Client, connected, item, rounds, serving
from tests.chaos.test_fuzz import ANSWERS, WAYS, _mutated, _random

pytestmark = pytest.mark.timeout(7200)

REFLECTION = reflection_pb2.ServerReflectionRequest
# Each with its kind of call, and requests that it understands.
METHODS: dict[str, tuple[str, list[bytes]]] = {
    "/grpc.health.v1.Health/Check": (
        "unary",
        [health_pb2.HealthCheckRequest(service=name).SerializeToString() for name in ("", "memory_layer.v1.Nobody")],
    ),
    "/grpc.health.v1.Health/Watch": (
        "server_stream",
        [health_pb2.HealthCheckRequest(service="memory_layer.v1.MemoryService").SerializeToString()],
    ),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": (
        "bidi_stream",
        [
            REFLECTION(list_services="*").SerializeToString(),
            REFLECTION(file_containing_symbol="grpc.health.v1.Health").SerializeToString(),
            REFLECTION(file_by_filename="grpc_health/v1/health.proto").SerializeToString(),
            REFLECTION(all_extension_numbers_of_type="google.protobuf.FieldOptions").SerializeToString(),
        ],
    ),
}


async def ask(client: Client, path: str, kind: str, raw: bytes) -> grpc.StatusCode:
    """How a call with these bytes ends; one that would go on for ever ends with its first answer."""
    try:
        if kind == "unary":
            await client.channel.unary_unary(path)(raw, timeout=30)
        elif kind == "server_stream":
            watching = client.channel.unary_stream(path)(raw, timeout=30)
            await watching.read()
            watching.cancel()
        else:
            call = client.channel.stream_stream(path)(timeout=30)
            await call.write(raw)
            await call.done_writing()
            async for _ in call:
                pass
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.asyncio
@pytest.mark.parametrize("form", ["random bytes", "mutated messages"])
async def test_14_probes_and_reflection(form: str, dsn: str, tmp_path: Path) -> None:
    count = rounds("FUZZ", 300)
    codes: Counter[grpc.StatusCode] = Counter()
    faults: list[str] = []
    with item(14, f"{form}, health and reflection") as result:
        async with serving(dsn, tmp_path) as server, connected(server.address) as client:

            async def send(path: str, kind: str, raws: Iterator[bytes]) -> None:
                for raw in raws:
                    code = await ask(client, path, kind, raw)
                    codes[code] += 1
                    if code not in ANSWERS:
                        faults.append(f"{path} {code.name} {raw[:400].hex()}")

            for path, (kind, valid) in METHODS.items():
                chance = random.Random(f"14 {form} {path}")
                shared = (
                    _random(chance) if form == "random bytes" else _mutated(chance, chance.choice(valid))
                    for _ in range(count)
                )
                await asyncio.gather(*(send(path, kind, shared) for _ in range(WAYS)))
                health = await client.admin.GetHealth(admin.GetHealthRequest(), timeout=10)
                assert (health.status, server.is_running) == ("ok", True), path
            result.tried, result.held = codes.total(), codes.total() - len(faults)
            result.note = ", ".join(f"{code.name} {n}" for code, n in codes.most_common())
        assert not faults, "\n".join([*faults[:5], server.text[-3000:]])
        assert codes.total() == count * len(METHODS)

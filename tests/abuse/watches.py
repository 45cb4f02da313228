"""Hundreds of idle streams of health and reflection, without a key, from one address."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.abuse.instance import Attacker
from tests.chaos.harness import CHANNEL_OPTIONS

STREAMS = 1040
_A_CONNECTION = 95
_HELD_SECONDS = 1.0


async def attack(instance: Attacker) -> None:
    """Opens them all at once, and holds them for a while."""
    async with AsyncExitStack() as stack:
        await asyncio.gather(*(_connection(instance, stack, first) for first in range(0, STREAMS, _A_CONNECTION)))
        await asyncio.sleep(_HELD_SECONDS)


async def opened(instance: Attacker, stack: AsyncExitStack) -> Counter[str]:
    """How many were answered, and how many refused by which code; they are held for as long as the stack is open. One
    connection after the other: of more than a thousand calls that wait, grpc itself ends some as CANCELLED."""
    codes: Counter[str] = Counter()
    for first in range(0, STREAMS, _A_CONNECTION):
        codes += await _connection(instance, stack, first)
    return codes


async def _connection(instance: Attacker, stack: AsyncExitStack, first: int) -> Counter[str]:
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(instance.address, options=CHANNEL_OPTIONS))
    watch = health_pb2_grpc.HealthStub(channel).Watch
    calls = [watch(health_pb2.HealthCheckRequest()) for _ in range(first, min(first + _A_CONNECTION, STREAMS))]
    for call in calls:
        stack.callback(call.cancel)
    return Counter(await asyncio.gather(*map(_first, calls)))


async def _first(call: Any) -> str:
    try:
        await call.read()
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"

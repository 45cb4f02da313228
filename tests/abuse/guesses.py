"""Guessing keys by reflection, which answers whoever has one with the names of all services."""

from __future__ import annotations

from collections import Counter

import grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.abuse.instance import Instance
from tests.chaos.harness import CHANNEL_OPTIONS

GUESSES = 60


async def attack(instance: Instance) -> None:
    """Guesses some."""
    await guessed(instance)


async def guessed(instance: Instance) -> Counter[str]:
    """The codes of all guesses."""
    codes: Counter[str] = Counter()
    async with grpc.aio.insecure_channel(instance.server.address, options=CHANNEL_OPTIONS) as channel:
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        for number in range(GUESSES):
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            call = reflection.ServerReflectionInfo(iter([request]), metadata=(("x-api-key", f"guess {number}"),))
            try:
                await call.read()
            except grpc.aio.AioRpcError as error:
                codes[error.code().name] += 1
    return codes

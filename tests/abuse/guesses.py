"""Guessing keys by reflection, which answers whoever has one with the names of all services."""

from __future__ import annotations

import asyncio
from collections import Counter

import grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.abuse.instance import Attacker
from tests.chaos.harness import CHANNEL_OPTIONS

GUESSES = 60


async def attack(instance: Attacker) -> None:
    """Guesses some."""
    await guessed(instance)


async def guessed(instance: Attacker) -> Counter[str]:
    """The codes of all guesses."""
    return await asyncio.to_thread(_guessed, instance.address)


def _guessed(address: str) -> Counter[str]:
    # Not with grpc.aio, which says INTERNAL itself where a stream is refused before its first message was sent.
    codes: Counter[str] = Counter()
    with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
        for number in range(GUESSES):
            request = reflection_pb2.ServerReflectionRequest(list_services="")
            try:
                list(reflection.ServerReflectionInfo(iter([request]), metadata=(("x-api-key", f"guess {number}"),)))
            except grpc.RpcError as error:
                codes[error.code().name] += 1
    return codes

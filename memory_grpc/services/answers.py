"""Answers that may be large: made, and written out as bytes, in a thread. Metadata may be thousands of values in little
text, and each takes as long as many letters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from google.protobuf.message import Message

from memory_grpc.domain.messages import Json, StoredMessage
from memory_grpc.encode import encode_in_steps
from memory_grpc.offload import INLINE_BYTES, by_size

M = TypeVar("M", bound=Message)

_AROUND_A_TEXT = 500
"""What else a message holds, in characters."""
_A_VALUE = 4


def told(messages: Iterable[StoredMessage]) -> int:
    """About how many characters there are to tell; past INLINE_BYTES nothing more is looked at."""
    size = 0
    for message in messages:
        size += len(message.content) + _AROUND_A_TEXT
        if size <= INLINE_BYTES:
            size += _values(message.metadata, INLINE_BYTES - size)
        if size > INLINE_BYTES:
            break
    return size


async def made(size: int, convert: Callable[..., M], *arguments: object) -> M:
    """What ``convert`` makes. Where that is of some ``size`` it comes as its bytes, which the interceptors pass on."""
    if size <= INLINE_BYTES:
        return convert(*arguments)
    return cast(M, await by_size(size, lambda: encode_in_steps(convert(*arguments))))


def _values(metadata: Json, most: int) -> int:
    size, left = 0, [metadata]
    while left and size <= most:
        value = left.pop()
        if isinstance(value, str):
            size += len(value)
        elif isinstance(value, dict):
            size += _A_VALUE * len(value) + sum(map(len, value))
            left += value.values()
        elif isinstance(value, list):
            size += _A_VALUE * len(value)
            left += value
    return size

"""Bytes to message: nothing malformed, too large or outside the contract's limits reaches a service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from memory_grpc.errors import BodyTooLarge, MalformedRequest
from memory_grpc.interceptors import wire
from memory_grpc.offload import INLINE_BYTES, in_thread
from memory_grpc.validation import validate

Reader = Callable[[bytes], Awaitable[Any]]


def reader(deserialize: Callable[[bytes], Message], max_request_bytes: int) -> Reader:
    """What turns the bytes of a request into a valid message; large ones in a thread, and looked through before.

    The server registers handlers without a deserialiser, because grpc answers bytes it cannot parse with UNKNOWN. It
    raises BodyTooLarge, MalformedRequest or InvalidInput.
    """

    def small(raw: bytes) -> Message:
        message = deserialize(raw)
        validate(message)
        return message

    def large(raw: bytes) -> Message:
        message = deserialize(b"")
        descriptor = cast(Descriptor, message.DESCRIPTOR)
        for piece in list(wire.pieces(raw, descriptor)):
            message.MergeFromString(piece)
        validate(message)
        return message

    async def read(raw: bytes) -> Message:
        if len(raw) > max_request_bytes:
            raise BodyTooLarge(f"The request is larger than {max_request_bytes} bytes.")
        try:
            return small(raw) if len(raw) <= INLINE_BYTES else await in_thread(large, raw)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedRequest("The request cannot be decoded.") from error

    return read

"""Bytes to message: nothing malformed, too large or outside the contract's limits reaches a service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError, Message

from memory_grpc.errors import BodyTooLarge, MalformedRequest
from memory_grpc.validation import validate

Reader = Callable[[bytes], Any]


def reader(deserialize: Callable[[bytes], Message], max_request_bytes: int) -> Reader:
    """What turns the bytes of a request into a valid message.

    The server registers handlers without a deserialiser, because grpc answers bytes it cannot parse with UNKNOWN. It
    raises BodyTooLarge, MalformedRequest or InvalidInput.
    """

    def read(raw: bytes) -> Message:
        if len(raw) > max_request_bytes:
            raise BodyTooLarge(f"The request is larger than {max_request_bytes} bytes.")
        try:
            message = deserialize(raw)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedRequest("The bytes are not the request's message.") from error
        validate(message)
        return message

    return read

"""Message to bytes: the same message is the same bytes, in every process. Its counterpart is
``interceptors/decode.py``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

_LENGTH_DELIMITED = 2


def encoded(message: Message | bytes) -> bytes:
    """The same, of an answer that may be bytes already."""
    return message if isinstance(message, bytes) else encode(message)


def encode(message: Message) -> bytes:
    """The bytes of a message; the order of a map's entries follows from their keys alone, at every depth.

    Otherwise it is that of a hash table, and of how it was filled. Envoy prints JSON in the order of the bytes, so that
    this holds over REST too.
    """
    return message.SerializeToString(deterministic=True)


def encode_in_steps(message: Message) -> bytes:
    """The same bytes, for a thread: no other runs while protobuf writes, which is for each item of a list here."""
    return b"".join(_pieces(message))


def _pieces(message: Message) -> Iterator[bytes]:
    for field, value in message.ListFields():
        if field.is_repeated and field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for item in value:
                written = encode(item)
                yield _varint(field.number << 3 | _LENGTH_DELIMITED) + _varint(len(written))
                yield written
        else:
            alone: Any = type(message)()
            if field.is_repeated or field.message_type is not None:
                getattr(alone, field.name).MergeFrom(value)
            else:
                setattr(alone, field.name, value)
            yield encode(alone)


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)

"""Message to bytes: the same message is the same bytes, in every process. Its counterpart is ``decode.py``."""

from __future__ import annotations

from google.protobuf.message import Message


def encoded(message: Message | bytes) -> bytes:
    """The same, of an answer that may be bytes already."""
    return message if isinstance(message, bytes) else encode(message)


def encode(message: Message) -> bytes:
    """The bytes of a message; the order of a map's entries follows from their keys alone, at every depth.

    Otherwise it is that of a hash table, and of how it was filled. Envoy prints JSON in the order of the bytes, so that
    this holds over REST too.
    """
    return message.SerializeToString(deterministic=True)

"""gRPC-Web as browsers speak it: a message and the trailers in frames of one body."""

from __future__ import annotations

import struct

from google.protobuf.message import Message


def framed(request: Message) -> bytes:
    """A request's body."""
    body = request.SerializeToString()
    return b"\0" + struct.pack(">I", len(body)) + body


def unframed(body: bytes) -> tuple[list[bytes], dict[str, str]]:
    """The messages of an answer, and its trailers. Of an error alone the trailers are the answer's headers."""
    messages: list[bytes] = []
    trailers: dict[str, str] = {}
    while body:
        kind, length = body[0], int.from_bytes(body[1:5], "big")
        content, body = body[5 : 5 + length], body[5 + length :]
        if kind & 0x80:
            pairs = (line.split(":", 1) for line in content.decode().split("\r\n") if line)
            trailers |= {name.strip(): value.strip() for name, value in pairs}
        else:
            messages.append(content)
    return messages, trailers

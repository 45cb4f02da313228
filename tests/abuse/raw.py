"""HTTP/1.1 by hand, for what no client library does: to stop in the middle, or not to read."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

_LITTLE = 4096


def head(instance_key: str, method: str, path: str, length: int | None = None) -> bytes:
    """A request's head, of a body of so many bytes."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", f"x-api-key: {instance_key}"]
    if length is not None:
        lines += ["content-type: application/json", f"content-length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


async def held(address: str, parts: list[bytes], seconds: float) -> None:
    """Sends the parts over a connection that takes in little, and keeps it open for a while without reading."""
    host, _, port = address.rpartition(":")
    receiver = socket.socket()
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _LITTLE)
    receiver.setblocking(False)
    with receiver, suppress(OSError, TimeoutError):  # to be cut off is what it asks for
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(receiver, (host, int(port)))
            _, writer = await asyncio.open_connection(sock=receiver, limit=_LITTLE)
            try:
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                await asyncio.sleep(seconds)
            finally:
                writer.transport.abort()


async def answered(address: str, request: bytes) -> None:
    """Sends a request and reads whatever comes, to its end."""
    host, _, port = address.rpartition(":")
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(14):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                writer.write(request.replace(b"host:", b"connection: close\r\nhost:", 1))
                await writer.drain()
                while await reader.read(65_536):
                    pass
            finally:
                writer.transport.abort()

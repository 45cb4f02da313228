"""What a test sees of a connection."""

from __future__ import annotations

import socket


def closed(connection: socket.socket) -> bool:
    """Whether the other side has closed, without an answer."""
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True

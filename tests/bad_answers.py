"""A real HTTP server on loopback whose answer goes on and on, is packed, too large, or as odd as a test likes."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

STATUS = b"HTTP/1.1 200 OK\r\n"
# What begins, and what comes again and again.
ENDLESS = {
    "headers": (STATUS + b"x: ", b"x"),
    "answers before the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "the length of a part": (STATUS + b"transfer-encoding: chunked\r\n\r\n5;", b"x"),
    "body": (STATUS + b"content-length: 9999\r\n\r\n", b" "),
    "body of a refusal": (b"HTTP/1.1 400 Bad Request\r\ncontent-length: 9999\r\n\r\n", b" "),
}


@contextmanager
def answering(parts: Iterable[bytes], pause: float = 0.0) -> Iterator[str]:
    """The URL of a server that answers one request with these bytes, part by part."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/keys"
        thread.join(5)


def packed(body: bytes, layers: int = 1) -> bytes:
    """An answer that is packed so many times."""
    for _ in range(layers):
        body = gzip.compress(body)
    encodings = b", ".join([b"gzip"] * layers)
    return STATUS + b"content-encoding: %s\r\ncontent-length: %d\r\n\r\n" % (encodings, len(body)) + body


def endless(kind: str) -> Iterator[bytes]:
    """The parts of an answer of ENDLESS. Over after 60, so that a test ends where nothing ends it."""
    begun, again = ENDLESS[kind]
    yield begun
    for _ in range(60):
        yield again


def without_names(program: str) -> subprocess.CompletedProcess[str]:
    """Runs a program of Python whose look-ups of names hang for 20 seconds, each counted in ``asked``. Fails if it
    waits for one."""
    hanging = (
        "import socket, time\n"
        "asked = []\n"
        "def hanging(*_, **__): asked.append(1); time.sleep(20)\n"
        "socket.getaddrinfo = hanging\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", hanging + program], capture_output=True, text=True, timeout=60, check=False
    )
    assert time.monotonic() - began < 15
    return done

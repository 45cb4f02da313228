"""What a client of MCP over HTTP may hold, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from unittest.mock import Mock

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from memory_grpc import bounded_connection
from memory_grpc.mcp import connections
from memory_grpc.mcp.connections import Connection, WithoutStreams
from tests.sockets import closed

HOST = "127.0.0.1"


LARGE = 20_000_000


BEGUN, RELEASED = threading.Semaphore(0), threading.Event()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Gives back what it gets; at /large something large, and at /held once it is released."""
    body = await Request(scope, receive).body()
    if scope["path"] == "/held":
        BEGUN.release()
        await asyncio.to_thread(RELEASED.wait, 20)
    await Response(bytes(LARGE) if scope["path"] == "/large" else body)(scope, receive, send)


@pytest.fixture
def port() -> Iterator[int]:
    """A server of that app."""
    listener = socket.create_server((HOST, 0))
    config = uvicorn.Config(WithoutStreams(app), http=Connection, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)
    listener.close()


def test_there_is_no_stream_to_keep_open(port: int) -> None:
    with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False) as http:
        answer = http.get("/mcp", headers={"accept": "text/event-stream"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, DELETE")
        assert http.post("/mcp", content="hello").text == "hello"


def test_connections_are_bounded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "max_connections", 1)
    with socket.create_connection((HOST, port)) as first:
        first.sendall(b"POST /mcp HTTP/1.1\r\nHost: x\r\n")
        with socket.create_connection((HOST, port)) as second:
            assert closed(second)
        first.sendall(b"Content-Length: 0\r\n\r\n")
        assert first.recv(100).startswith(b"HTTP/1.1 200 ")


def opened(stack: contextlib.ExitStack, port: int, address: str, sent: bytes = b"") -> socket.socket:
    """A connection from an address."""
    connection = stack.enter_context(socket.create_connection((HOST, port), source_address=(address, 0)))
    connection.sendall(sent)
    return connection


def answered(connection: socket.socket) -> bool:
    """Whether the server takes a request there, or the rest of one."""
    connection.settimeout(5)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    return connection.recv(1000).startswith(b"HTTP/1.1 ")


def test_who_holds_the_most_gives_one_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "max_connections", 3)
    with contextlib.ExitStack() as stack:
        held = []
        for _ in range(3):
            held.append(opened(stack, port, "127.0.0.1"))
            assert answered(held[-1])
        other = opened(stack, port, "127.0.0.2")
        assert answered(other)
        assert closed(held[0])
        # Two and one: neither the one nor the other gets a place of its own kind.
        assert closed(opened(stack, port, "127.0.0.1"))
        assert closed(opened(stack, port, "127.0.0.2"))
        assert answered(opened(stack, port, "127.0.0.3"))
        assert closed(held[1])
        assert closed(opened(stack, port, "127.0.0.4")), "each has one"
        assert all(map(answered, (held[2], other)))


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /mcp HTTP/1.1\r\nHost: x\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf",
        b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["nothing", "half of the headers", "half of the body", "an answer that is not taken"],
)
def test_who_is_waited_for_makes_room(port: int, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    read, reads = Connection.data_received, threading.Semaphore(0)

    def noted(self: Connection, data: bytes) -> None:
        read(self, data)
        reads.release()

    monkeypatch.setattr(Connection, "data_received", noted)
    monkeypatch.setattr(Connection, "max_connections", 2)
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            held = opened(stack, port, "127.0.0.1", sent)
            assert not sent or reads.acquire(timeout=5)
            if sent.startswith(b"POST /large"):
                assert held.recv(1)
        assert answered(opened(stack, port, "127.0.0.2"))


def test_a_call_at_work_does_not(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "max_connections", 2)
    RELEASED.clear()
    with contextlib.ExitStack() as stack:
        stack.callback(RELEASED.set)
        call = b"POST /held HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
        held = [opened(stack, port, "127.0.0.1", call) for _ in range(2)]
        assert all(BEGUN.acquire(timeout=5) for _ in held)
        assert closed(opened(stack, port, "127.0.0.2"))
        RELEASED.set()
        assert all(map(answered, held))


@pytest.mark.parametrize(
    "begun",
    [b"", b"POST /mcp HTTP/1.1\r\nX-Slow: ", b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["nothing", "half of the headers", "half of the body"],
)
def test_a_request_that_does_not_move_on_is_cut(port: int, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.1)
    with socket.create_connection((HOST, port)) as slow:
        slow.sendall(begun)
        assert closed(slow)


def test_a_call_that_was_just_answered_leaves_time_for_the_next() -> None:
    transport, loop = Mock(), Mock()
    transport.get_write_buffer_size.return_value = 0
    connection = Connection.__new__(Connection)
    connection.transport, connection.loop = transport, loop
    connection.cycle = cycle = Mock(more_body=False, response_complete=False)
    connection._cut_if_silent()  # it is at work
    cycle.response_complete = True
    connection._cut_if_silent()  # it was answered since
    transport.abort.assert_not_called()
    connection._cut_if_silent()
    transport.abort.assert_called_once_with()


def test_an_answer_that_is_not_taken_is_cut(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    lost = Connection.connection_lost

    def noted(self: Connection, error: Exception | None) -> None:
        lost(self, error)
        ended.set()

    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(Connection, "connection_lost", noted)
    with socket.create_connection((HOST, port)) as slow:
        slow.sendall(b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert ended.wait(20)


def test_an_answer_that_is_taken_slowly_is_not(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 1.0)
    with socket.create_connection((HOST, port)) as slow:
        slow.sendall(b"POST /large HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        read, until = 0, time.monotonic() + 2.5
        while read < LARGE:
            got = slow.recv(200_000)
            assert got, "cut"
            read += len(got)
            if time.monotonic() < until:
                time.sleep(0.02)  # the pace that is tested


HEAD = b"POST /mcp HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "again", "status"),
    [(CHUNKED, b"1\r\nx\r\n", b"413"), (HEAD, b"a:\r\n", b"400"), (CHUNKED + b"0\r\n", b"a:\r\n", b"400")],
    ids=["chunks", "headers", "trailers"],
)
def test_many_small_parts_do_not_hold_up_the_others(port: int, head: bytes, again: bytes, status: bytes) -> None:
    before = time.process_time()
    with socket.create_connection((HOST, port)) as hostile:
        with contextlib.suppress(OSError):
            hostile.sendall(head + again * 200_000)
        with contextlib.suppress(ConnectionResetError):
            assert hostile.recv(100).startswith(b"HTTP/1.1 " + status)
    assert time.process_time() - before < 0.5


def test_who_sends_too_many_chunks_is_told(port: int) -> None:
    with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False) as http:
        most = bounded_connection.MOST_CHUNKS
        for _ in range(2):  # each request has its own count
            assert http.post("/mcp", content=(b"x" for _ in range(most))).text == "x" * most
        answer = http.post("/mcp", content=(b"x" for _ in range(most * 2)))
        assert (answer.status_code, answer.text) == (413, "The body comes in too many chunks.")
        assert http.post("/mcp", content="again").text == "again"


def test_who_goes_on_after_a_refusal_is_cut(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SILENT_SECONDS", 0.1)
    with socket.create_connection((HOST, port)) as going_on:
        going_on.sendall(CHUNKED + b"1\r\nx\r\n" * (bounded_connection.MOST_CHUNKS + 1))
        answer = b""
        while not answer.endswith(b"chunks."):
            answer += going_on.recv(1000)
        assert closed(going_on)


def test_bodies_are_read_as_clients_write_them(port: int) -> None:
    memories = [{"content": f"I like tea, number {n}", "metadata": {"a": n, "b": [1, 2, 3]}} for n in range(50)]
    indented = json.dumps(memories, indent=1).replace("\n", "\r\n").encode()
    with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False) as http:
        streamed = (part.encode() for part in json.JSONEncoder().iterencode(memories))
        assert http.post("/mcp", content=streamed).json() == memories
        assert http.post("/mcp", content=indented * 20).content == indented * 20
        assert http.post("/mcp", content=(b"x" * 1000 for _ in range(500))).text == "x" * 500_000
    parts = [indented[start : start + 10] for start in range(0, len(indented), 10)]
    in_one = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(CHUNKED + in_one + b"0\r\n\r\n")
        connection.settimeout(5)
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")

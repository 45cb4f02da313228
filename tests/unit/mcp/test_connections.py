"""What a client of MCP over HTTP may hold, over real sockets."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from memory_grpc.mcp import connections
from memory_grpc.mcp.connections import Connection, WithoutStreams

HOST = "127.0.0.1"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await Response(await Request(scope, receive).body())(scope, receive, send)


@pytest.fixture
def port() -> Iterator[int]:
    """A server of an app that gives back what it gets."""
    listener = socket.create_server((HOST, 0))
    config = uvicorn.Config(WithoutStreams(echo), http=Connection, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(10)
    listener.close()


def closed(connection: socket.socket) -> bool:
    """Whether the other side has closed, without an answer."""
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_there_is_no_stream_to_keep_open(port: int) -> None:
    with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False) as http:
        answer = http.get("/mcp", headers={"accept": "text/event-stream"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST, DELETE")
        assert http.post("/mcp", content="hello").text == "hello"


def test_connections_are_bounded(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 1)
    with socket.create_connection((HOST, port)) as first:
        first.sendall(b"POST /mcp HTTP/1.1\r\nHost: x\r\n")
        with socket.create_connection((HOST, port)) as second:
            assert closed(second)
        first.sendall(b"Content-Length: 0\r\n\r\n")
        assert first.recv(100).startswith(b"HTTP/1.1 200 ")


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

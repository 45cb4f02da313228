"""What somebody without a key can do to the HTTP transport: nobody is asked for one before a tool runs."""

from __future__ import annotations

import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from memory_grpc.mcp import http
from memory_grpc.mcp.callers import Callers, KeyedClient
from memory_grpc.mcp.connections import MOST_BYTES, MOST_PARTS
from memory_grpc.mcp.logs import WithoutContent
from memory_grpc.mcp.server import MemoryServer
from memory_grpc.mcp.user_memory import Scope

HOST = "127.0.0.1"
CANARY = "canary"
MODERN = "2026-07-28"
ABOUT = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    """Of the real application; there is no service behind it."""
    server = MemoryServer(Scope("acme", "ann", "mcp"), Callers(KeyedClient("127.0.0.1:1"), by_header=True))
    with socket.create_server((HOST, 0)) as listener:
        running = uvicorn.Server(http.configuration(server, HOST, ()))
        thread = threading.Thread(target=running.run, args=([listener],))
        thread.start()
        headers = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
        url = f"http://{HOST}:{listener.getsockname()[1]}"
        with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as opened:
            yield opened
        running.should_exit = True
        thread.join(10)


def post(client: httpx.Client, body: Any, **headers: str) -> httpx.Response:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post("/mcp", content=raw, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    "body",
    [
        [{"jsonrpc": "2.0", "id": 1, "method": CANARY}],
        {"jsonrpc": CANARY, "id": 1, "method": "ping"},
        {"jsonrpc": "2.0", "id": 1, "method": [CANARY]},
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": CANARY},
        CANARY,
        f"{{{CANARY}".encode(),
        b"\xff" + CANARY.encode(),
    ],
    ids=["batch", "version", "method", "params", "text", "no JSON", "no UTF-8"],
)
def test_what_is_no_message_is_not_repeated(client: httpx.Client, body: Any) -> None:
    answer = post(client, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert CANARY not in answer.text


@pytest.mark.parametrize("modern", [False, True])
@pytest.mark.parametrize(
    ("method", "field", "name"), [("prompts/get", "name", CANARY), ("resources/read", "uri", f"memory://{CANARY}")]
)
def test_what_is_not_there_is_neither_repeated_nor_logged(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, method: str, field: str, name: str, *, modern: bool
) -> None:
    params = {field: name, **({"_meta": ABOUT} if modern else {})}
    headers = {"mcp_protocol_version": MODERN, "mcp_method": method, "mcp_name": name} if modern else {}
    answer = post(client, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}, **headers)
    assert answer.json()["error"]["message"].startswith("There are no ")
    assert CANARY not in answer.text
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_nobody_is_sent_on_to_a_host_of_their_own(client: httpx.Client) -> None:
    for path in ("/mcp/", "/mcp//", "//evil.example/mcp"):
        answer = client.post(path, content=b"{}", headers={"host": "evil.example"})
        assert answer.status_code in (404, 421) and "location" not in answer.headers


def test_a_body_that_would_hold_up_everybody_is_refused_unread(client: httpx.Client) -> None:
    def ping(parts: int, padding: int = 0) -> bytes:
        return b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":[%s1],"b":"%s"}}' % (
            b"[]," * parts,
            b"x" * padding,
        )

    assert post(client, ping(MOST_PARTS - 20)).status_code == 200
    assert post(client, ping(0, MOST_BYTES - 1000)).status_code == 200
    names = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{%s}}' % b",".join(
        b'"%x":1' % n for n in range(MOST_PARTS)
    )
    # The SDK would parse this text once more, as a list.
    arguments = {"name": "add_memories", "arguments": {"memories": f"[{'{},' * MOST_PARTS}1]"}}
    in_text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": arguments}).encode()
    for body in (ping(MOST_PARTS), ping(0, MOST_BYTES), ping(1_000_000), names, in_text):
        before = time.process_time()
        assert post(client, body).status_code == 413
        assert time.process_time() - before < 0.5
    # What is declared is believed: nothing is waited for.
    with socket.create_connection((HOST, client.base_url.port or 0)) as declaring:
        declaring.sendall(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % 10**18)
        declaring.settimeout(5)
        assert declaring.recv(100).startswith(b"HTTP/1.1 413 ")


def test_what_comes_after_a_refusal_is_no_fault(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    head = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    too_large, too_many = b"%x\r\n%s\r\n" % (MOST_PARTS * 2, b"[" * MOST_PARTS * 2), b"1\r\n[\r\n" * MOST_PARTS
    for body, after in ((too_large, b"no chunk\r\n" * 2), (too_large, too_many), (too_many, too_many)):
        with socket.create_connection((HOST, client.base_url.port or 0)) as connection:
            connection.settimeout(5)
            connection.sendall(head + body)
            assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
            connection.sendall(after)
            assert post(client, {"jsonrpc": "2.0", "id": 1, "method": "ping"}).status_code == 200
    assert [record.name for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_logs_of_others_are_their_class_alone() -> None:
    def line(name: str, *, failed: bool) -> str:
        try:
            raise ValueError(CANARY)
        except ValueError:
            record = logging.LogRecord(name, logging.ERROR, "", 0, CANARY, (), sys.exc_info() if failed else None)
        return WithoutContent().format(record)

    assert line("mcp.server", failed=True) == "mcp.server: ValueError"
    assert line("uvicorn.error", failed=False) == "uvicorn.error: ERROR"
    assert line("memory_grpc.mcp.failures", failed=False) == CANARY

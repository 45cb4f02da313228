"""Envoy's line for each call: who called what and how it went, and never with what."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from memory_grpc.resources import ENVOY_YAML
from memory_grpc.rpcs import FACTS
from tests.abuse.frames import connected, next_of
from tests.chaos.wire import END_HEADERS, END_STREAM, HEADERS, field, frame
from tests.conftest import RunningRest, StartRest

KEY = "canary-key-of-sixteen"
MESSAGE = {"tenant_id": "t", "conversation_id": "c", "role": "user", "content": "canary-content"}
TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def read(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


async def lines(log: Path, wanted: int) -> list[dict[str, Any]]:
    """The lines of the access log, once there are so many; Envoy writes them in batches."""
    async with asyncio.timeout(30):
        while True:
            found = await asyncio.to_thread(read, log)
            if len(found) >= wanted:
                return found
            await asyncio.sleep(0.1)


@pytest.mark.asyncio
async def test_the_edge_writes_a_line_for_each_call_without_its_query(start_rest: StartRest, tmp_path: Path) -> None:
    async with start_rest(api_keys=[KEY]) as rest:
        headers = {"x-api-key": KEY, "x-request-id": "call-1", "traceparent": TRACEPARENT}
        assert (await rest.http.post("/v1/messages", json=MESSAGE, headers=headers)).status_code == 202
        search = {"tenant_id": "t", "query": "canary query"}
        found = await rest.http.get("/v1/memory/search", params=search, headers={"x-api-key": KEY})
        assert found.status_code == 200
        refused = await rest.http.get("/v1/memory/search", params=search, headers={"x-api-key": "canary-wrong-key"})
        assert refused.status_code == 401
        long = {"x-api-key": KEY, "traceparent": "x" * 60 + "canary", "x-request-id": "y" * 130 + "canary"}
        # Health is logged where it fails.
        assert (await rest.http.get("/v1/admin/health")).status_code == 200
        assert (await rest.http.get("/v1/messages/canary-id", headers=long)).status_code == 400
        assert (await rest.http.get(f"/nowhere/{'z' * 300}canary?canary", headers=long)).status_code == 404
        await rest.http.post("/memory_layer.v1.MemoryService/canary", headers={"content-type": "application/grpc"})
        # What is no trace, and over HTTP/2, where anything may be one, no method.
        await rest.http.get("/v1/messages/1", headers={"traceparent": "canary"})
        await by_http2(rest, "CANARY")
    written = tmp_path / "envoy/envoy.log"
    stored, searched, unknown, one, nowhere, no_method, no_trace, no_verb = await lines(written, 8)
    assert (stored["method"], stored["path"], stored["status"]) == ("POST", "/v1/messages", 202)
    assert (stored["request_id"], stored["traceparent"]) == ("call-1", TRACEPARENT)
    assert (stored["client"], stored["protocol"], stored["flags"]) == ("127.0.0.1", "HTTP/1.1", "-")
    assert stored["milliseconds"] >= 0
    assert stored["bytes_received"] > 0 < stored["bytes_sent"]
    assert (searched["method"], searched["path"], searched["status"]) == ("GET", "/v1/memory/search", 200)
    assert unknown["status"] == 401
    assert (one["path"], nowhere["path"], nowhere["status"]) == ("/v1/messages/*", "/*/*", 404)
    assert no_method["path"] == "/memory_layer.v1.MemoryService/*"
    assert (no_trace["path"], no_trace["traceparent"]) == ("/v1/messages/*", "-")
    assert (no_verb["protocol"], no_verb["method"], no_verb["path"]) == ("HTTP/2", "-", "/v1/messages")
    assert "canary" not in written.read_text().lower()


async def by_http2(rest: RunningRest, method: str) -> None:
    """A request with any method, as a client by HTTP/2 may send it."""
    sent = {":method": method, ":path": "/v1/messages", ":authority": "localhost"}
    block = b"\x86" + b"".join(field(name.encode(), value.encode()) for name, value in sent.items())  # http
    async with connected(f"127.0.0.1:{rest.server.settings.http_port}") as (reader, writer):
        writer.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, block))
        async with asyncio.timeout(10):
            await next_of(reader, HEADERS)


@pytest.mark.asyncio
async def test_it_can_be_left_out(start_rest: StartRest, tmp_path: Path) -> None:
    async with start_rest(access_log=False) as rest:
        assert (await rest.http.post("/v1/messages", json=MESSAGE)).status_code == 202
    assert "access" not in (tmp_path / "envoy/envoy.log").read_text()


def test_the_edge_knows_the_words_of_every_path() -> None:
    paths = yaml.safe_load(Path("gen/openapi.yaml").read_text())["paths"]
    words = {part for path in paths for part in path.split("/") if part and "{" not in part}
    known = re.search(r"string.gmatch\(\[\[(.*?)\]\]", Path("envoy.yaml").read_text(), re.DOTALL)
    assert known
    assert words <= set(known[1].split())


def test_the_edge_knows_the_words_of_every_rpc() -> None:
    """What is no word of the contract is a star in the log: a caller may name any method."""
    listed = set(re.findall(r"for word in string.gmatch\(\[\[(.*?)\]\]", ENVOY_YAML.read_text(), re.DOTALL)[0].split())
    assert {part for path in FACTS for part in path.strip("/").split("/")} <= listed

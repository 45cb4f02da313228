"""The HTTP side answers its fixed paths, refuses everything else, and is not held by slow clients."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from memory_grpc import resources
from memory_grpc.errors import StartupError
from memory_grpc.observability import http_connection
from memory_grpc.observability.http import HttpSide
from memory_grpc.observability.http_connection import Connection
from tests.sockets import closed

HOST = "127.0.0.1"


@pytest.fixture(scope="module")
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("things", "Things counted.", registry=registry).inc(3)
    return registry


@pytest.fixture(scope="module")
def port(registry: CollectorRegistry) -> Iterator[int]:
    side = HttpSide(HOST, 0, registry)
    yield side.start()
    side.close()


@pytest.fixture
def client(port: int) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{HOST}:{port}", trust_env=False, timeout=5) as client:
        yield client


def test_metrics_are_prometheus_text(client: httpx.Client) -> None:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert "things_total 3.0" in answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_metrics_speak_openmetrics_when_asked(client: httpx.Client) -> None:
    answer = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_a_version_that_is_none_is_answered_as_text(client: httpx.Client) -> None:
    answer = client.get("/metrics", headers={"accept": "application/openmetrics-text;version=abc"})
    assert answer.status_code == 200
    assert "things_total 3.0" in answer.text


def test_openapi_json_is_the_generated_document(client: httpx.Client) -> None:
    answer = client.get("/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == yaml.safe_load(resources.OPENAPI_YAML.read_text())


def test_the_root_leads_to_the_console_on_the_same_port(client: httpx.Client) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/console")


@pytest.mark.parametrize("path", ["/console", "/console/"])
def test_the_console_loads_only_what_is_served_here(client: httpx.Client, path: str) -> None:
    waiting, seen = [path], set()
    while waiting:
        asset = waiting.pop()
        answer = client.get(asset)
        assert answer.status_code == 200, asset
        seen.add(asset)
        assert "innerHTML" not in answer.text, asset
        found = re.findall(r'(?:src|href)="(/console/[^"]+)"', answer.text)
        found += [str(httpx.URL(asset).join(name)) for name in re.findall(r'from "(\..+?)"', answer.text)]
        waiting += [one for one in found if one not in seen]
    assert len(seen) > 20
    page = client.get(path)
    assert page.headers["content-security-policy"] == client.get("/docs").headers["content-security-policy"]
    assert not re.search(r"<style|<script>|\son\w+=|style=|https?:", page.text)


@pytest.mark.parametrize("path", ["/docs", "/docs/", "/docs?deep=1"])
def test_docs_load_only_what_is_served_here(client: httpx.Client, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "<style" not in page.text
    assert not re.search(r"<script>|\son\w+=|style=|https?:", page.text)
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert "/docs/swagger-ui-bundle.js" in loaded
    for asset in loaded:
        answer = client.get(asset)
        assert answer.status_code == 200, asset
        assert answer.headers["cache-control"]
        assert len(answer.content) > 0
    assert '"/openapi.json"' in client.get("/docs/start.js").text


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(client: httpx.Client) -> None:
    policy = client.get("/docs").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "/docs/x",
        "/console/index.html",
        "/console/views",
        "/console/..%2fresources.py",
        "/docs/index.html",
        "/docs/..%2f..%2ferrors.py",
        "/docs/%2e%2e/__init__.py",
        "/metrics/",
        "/METRICS",
    ],
)
def test_other_paths_are_not_found(client: httpx.Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.text == '{"code":5,"message":"no such path","details":[]}'
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_raw_path_does_not_leave_the_table(port: int) -> None:
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(b"GET /docs/../../../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
def test_other_methods_are_not_allowed(client: httpx.Client, method: str) -> None:
    answer = client.request(method, "/docs", content=b"x" * 60000)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD"
    assert json.loads(answer.content)["details"] == []


@pytest.mark.parametrize("path", ["/", "/metrics", "/docs", "/console", "/openapi.json", "/nothing"])
def test_head_has_the_headers_of_get_and_no_body(client: httpx.Client, path: str) -> None:
    head, get = client.head(path), client.get(path)
    assert head.content == b""
    assert (head.status_code, head.headers["content-length"]) == (get.status_code, str(len(get.content)))


def test_a_malformed_request_gets_the_error_shape(port: int) -> None:
    with socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(b"GET /docs HTTP/1.1\r\nno colon\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b'"code":3' in answer
    assert b"<html" not in answer


def test_a_broken_collector_is_an_error_and_not_a_traceback(client: httpx.Client, registry: CollectorRegistry) -> None:
    class Broken(Collector):
        def collect(self) -> Iterator[Metric]:
            raise RuntimeError("secret")

        def describe(self) -> list[Metric]:
            return []

    broken = Broken()
    registry.register(broken)
    answer = client.get("/metrics")
    registry.unregister(broken)
    assert answer.status_code == 500
    assert answer.json() == {"code": 13, "message": "metrics cannot be collected", "details": []}
    assert client.get("/docs").status_code == 200


def test_a_silent_client_is_cut_and_holds_nobody(
    port: int, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_SECONDS", 0.2)
    with socket.create_connection((HOST, port)) as silent:
        assert client.get("/metrics").status_code == 200
        assert closed(silent)


def test_a_client_that_drips_is_cut(port: int, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "REQUEST_SECONDS", 0.3)
    with socket.create_connection((HOST, port)) as dripping:
        dripping.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        assert closed(dripping)
    assert client.get("/metrics").status_code == 200


def test_connections_are_bounded(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Connection, "max_connections", 1)
    side = HttpSide(HOST, 0, registry)
    port = side.start()
    with socket.create_connection((HOST, port)) as first:
        first.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")
        with socket.create_connection((HOST, port)) as second:
            assert closed(second)
        first.sendall(b"\r\n")
        assert first.recv(100).startswith(b"HTTP/1.1 200 ")
    side.close()


def test_envoy_leaves_connections_for_scrapes_of_the_port_itself() -> None:
    envoy = yaml.safe_load((Path(__file__).parents[2] / "envoy.yaml").read_text())
    (cluster,) = (one for one in envoy["static_resources"]["clusters"] if one["name"] == "http_side")
    (threshold,) = cluster["circuit_breakers"]["thresholds"]
    assert threshold["max_connections"] < Connection.max_connections


def test_a_taken_port_is_one_clear_sentence(port: int) -> None:
    with pytest.raises(StartupError) as refused:
        HttpSide(HOST, port).start()
    sentence = str(refused.value)
    assert sentence.startswith(f"Port {port} on {HOST} is already taken")
    assert "MEMORY_METRICS_PORT" in sentence
    assert "\n" not in sentence


def test_an_impossible_address_is_refused() -> None:
    with pytest.raises(StartupError, match=r"^MEMORY_HOST: no\.such\.host\.invalid is no name "):
        HttpSide("no.such.host.invalid", 0).start()


def test_a_missing_document_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "OPENAPI_YAML", tmp_path / "openapi.yaml")
    with pytest.raises(StartupError, match=r"openapi\.yaml cannot be read"):
        HttpSide(HOST, 0).start()


def test_a_console_without_its_page_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "CONSOLE", tmp_path)
    with pytest.raises(StartupError, match=r"index\.html cannot be read"):
        HttpSide(HOST, 0).start()


def test_a_closed_port_is_free_at_once(registry: CollectorRegistry) -> None:
    side = HttpSide(HOST, 0, registry)
    side.close()
    port = side.start()
    assert httpx.get(f"http://{HOST}:{port}/metrics", trust_env=False).status_code == 200
    side.close()
    side.close()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://{HOST}:{port}/metrics", trust_env=False)
    again = HttpSide(HOST, port, registry)
    assert again.start() == port
    again.close()

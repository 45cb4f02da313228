"""The HTTP side: /metrics, /docs and /openapi.json, on a port of its own beside gRPC.

It runs in daemon threads and shares nothing with the event loop, so that metrics can be read while the loop is busy. It
serves a fixed table of paths: no file name is ever made from a request. A connection serves one request, and is cut
when it takes too long; past ``_MAX_CONNECTIONS`` new ones are dropped.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import prometheus_client
import structlog
import yaml
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry
from swagger_ui_bundle import swagger_ui_path

from memory_grpc import resources
from memory_grpc.errors import StartupError

_MAX_CONNECTIONS = 32
_SILENCE_SECONDS = 10.0
_REQUEST_SECONDS = 30.0
_TURN_SECONDS = 0.1  # how often old connections are looked for; close() waits for one turn at most
_MAX_DRAINED_BYTES = 1 << 16
_METHODS = "GET, HEAD"
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Connection": "close"}
# gRPC codes, as in every other error body of the service.
_INVALID_ARGUMENT, _NOT_FOUND, _UNIMPLEMENTED, _INTERNAL = 3, 5, 12, 13

_ASSETS = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "index.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-16x16.png": "image/png",
    "favicon-32x32.png": "image/png",
}
# data: is for the icons inside Swagger UI's stylesheet. All else comes from here, and nothing is inline.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>AI Memory Layer</title>
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png" sizes="32x32">
<link rel="icon" type="image/png" href="/docs/favicon-16x16.png" sizes="16x16">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/index.css">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript; the document it shows is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
_START = """SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
});
"""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one path answers."""

    body: bytes
    content_type: str
    cache: str
    headers: dict[str, str] = field(default_factory=dict)


class HttpSide:
    """Serves the metrics and the documentation until it is closed."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry = prometheus_client.REGISTRY) -> None:
        """Nothing is bound or read before ``start``; port 0 takes a free one."""
        self._host = host
        self._port = port
        self._registry = registry
        self._server: _Server | None = None

    def start(self) -> int:
        """Binds, begins to serve, and returns the bound port.

        Raises:
            StartupError: the address cannot be bound, or the documentation is missing from the installation.
        """
        table = _pages()
        try:
            self._server = _Server(self._host, self._port, table, self._metrics)
        except (OSError, OverflowError) as refused:
            why = getattr(refused, "strerror", None) or str(refused)
            raise StartupError(
                f"The metrics endpoint cannot listen on {self._host}:{self._port} ({why}): "
                "set MEMORY_METRICS_PORT to a free port."
            ) from None
        threading.Thread(
            target=self._server.serve_forever, args=(_TURN_SECONDS,), name="http-side", daemon=True
        ).start()
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stops listening; requests being answered are cut off. May be called twice, and before ``start``."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.cut(older_than_seconds=0)

    def _metrics(self, accept: str) -> Answer:
        """The registry as text, in the format that the scraper asks for."""
        encode, content_type = choose_encoder(accept)
        return Answer(encode(self._registry), content_type, cache="no-store")


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    """A threaded server whose connections are few and do not last."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True  # a restart binds while old connections are in TIME_WAIT
    allow_reuse_port = False  # two servers must never share the port unnoticed

    def __init__(self, host: str, port: int, table: dict[str, Answer], metrics: Callable[[str], Answer]) -> None:
        self.table = table
        self.metrics = metrics
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer would look the host's name up here, which can hang without a resolver.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def service_actions(self) -> None:
        # Called at every turn of the serving loop: a timeout of the socket alone lets a client send a byte at a time.
        self.cut(older_than_seconds=_REQUEST_SECONDS)

    def cut(self, *, older_than_seconds: float) -> None:
        """Shuts down connections that have lasted longer than this; their threads then end by themselves."""
        latest = time.monotonic() - older_than_seconds
        with self._lock:
            for connection in [connection for connection, since in self._open.items() if since <= latest]:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the client was faster
                    pass

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            full = len(self._open) >= _MAX_CONNECTIONS
            if not full:
                self._open[request] = time.monotonic()
        if full:
            self.shutdown_request(request)
        else:
            super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no event; the default would print a traceback."""


class _Handler(BaseHTTPRequestHandler):
    """One connection, one request."""

    protocol_version = "HTTP/1.1"
    timeout = _SILENCE_SECONDS
    server: _Server

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        try:
            answer = self.server.metrics(self.headers.get("Accept", "")) if path == "/metrics" else None
        except (
            Exception
        ) as error:  # a broken collector is a bug to be seen; its text may hold anything, so only its type
            structlog.get_logger(__name__).error("metrics_failed", error=type(error).__name__)
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, _error(_INTERNAL, "metrics cannot be collected"))
            return
        answer = answer or self.server.table.get(path)
        if answer is None:
            self._send(HTTPStatus.NOT_FOUND, _error(_NOT_FOUND, "no such path"))
        else:
            self._send(HTTPStatus.OK, answer)

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself, in the service's error shape; 501 is its word for other methods."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._drain()
            status, answer = HTTPStatus.METHOD_NOT_ALLOWED, _error(_UNIMPLEMENTED, f"only {_METHODS} are allowed here")
        else:
            status = HTTPStatus(code)
            answer = _error(_INVALID_ARGUMENT, status.phrase.lower())
        self._send(status, answer)

    def _send(self, status: HTTPStatus, answer: Answer) -> None:
        self.send_response(status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", answer.cache)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", _METHODS)
        for name, value in {**_HEADERS, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _drain(self) -> None:
        """Reads a small body that nobody wants: closing over unread bytes resets the connection, answer and all."""
        length = self.headers.get("Content-Length", "")
        if length.isdigit() and int(length) <= _MAX_DRAINED_BYTES:
            self.rfile.read(int(length))

    def version_string(self) -> str:
        """The Server header names no versions."""
        return "memory-layer"

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: scrapes come every few seconds, and query strings may hold what must not be kept."""


def _pages() -> dict[str, Answer]:
    """Every path but /metrics: the page, what it loads, and the OpenAPI document as JSON."""
    page = Answer(_PAGE.encode(), "text/html; charset=utf-8", "no-cache", {"Content-Security-Policy": _POLICY})
    start = Answer(_START.encode(), "text/javascript; charset=utf-8", "no-cache")
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml, where there is one, is many times faster
        document = json.dumps(yaml.load(resources.OPENAPI_YAML.read_bytes(), Loader=loader)).encode()  # noqa: S506
        assets = {
            f"/docs/{name}": Answer((swagger_ui_path / name).read_bytes(), content_type, "public, max-age=3600")
            for name, content_type in _ASSETS.items()
        }
    except OSError as missing:
        raise StartupError(f"The documentation is incomplete: {missing.filename} cannot be read.") from None
    openapi = Answer(document, "application/json", "no-cache")
    return {"/docs": page, "/docs/": page, "/docs/start.js": start, "/openapi.json": openapi, **assets}


def _error(code: int, message: str) -> Answer:
    body = json.dumps({"code": code, "message": message, "details": []}, separators=(",", ":")).encode()
    return Answer(body, "application/json", cache="no-store")

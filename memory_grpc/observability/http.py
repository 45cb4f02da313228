"""The HTTP side: /metrics, /docs and /openapi.json, on a port of its own beside gRPC.

It runs in daemon threads and shares nothing with the event loop, so that metrics can be read while the loop is busy. It
serves a fixed table of paths: no file name is ever made from a request. A connection serves one request, and is cut
when it takes too long; past ``_MAX_CONNECTIONS`` new ones are dropped.
"""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import prometheus_client
import structlog
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from memory_grpc.errors import StartupError
from memory_grpc.observability import pages
from memory_grpc.observability.pages import Answer

_MAX_CONNECTIONS = 32
_SILENCE_SECONDS = 10.0
_REQUEST_SECONDS = 30.0
_TURN_SECONDS = 0.1  # how often old connections are looked for; close() waits for one turn at most
_MAX_DRAINED_BYTES = 1 << 16
_METHODS = "GET, HEAD"
_HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Connection": "close"}
# gRPC codes, as in every other error body of the service.
_INVALID_ARGUMENT, _NOT_FOUND, _UNIMPLEMENTED, _INTERNAL = 3, 5, 12, 13


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
        table = pages.documentation()
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
        # A broken collector is a bug to be seen. Its text may hold anything, so only its type is told.
        except Exception as error:
            structlog.get_logger(__name__).error("metrics_failed", error=type(error).__name__)
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, pages.error(_INTERNAL, "metrics cannot be collected"))
            return
        answer = answer or self.server.table.get(path)
        if answer is None:
            self._send(HTTPStatus.NOT_FOUND, pages.error(_NOT_FOUND, "no such path"))
        else:
            self._send(HTTPStatus.OK, answer)

    def do_HEAD(self) -> None:
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server refuses by itself, in the service's error shape; 501 is its word for other methods."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            self._drain()
            status, answer = (
                HTTPStatus.METHOD_NOT_ALLOWED,
                pages.error(_UNIMPLEMENTED, f"only {_METHODS} are allowed here"),
            )
        else:
            status = HTTPStatus(code)
            answer = pages.error(_INVALID_ARGUMENT, status.phrase.lower())
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

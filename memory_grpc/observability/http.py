"""The HTTP side: /metrics, the pages and /openapi.json, on a port of its own beside gRPC.

uvicorn serves it in a thread with an event loop of its own, and shares nothing with that of the server, so that metrics
can be read while that one is busy. What is served is in ``http_app``, what one client may hold in ``http_connection``.
"""

from __future__ import annotations

import asyncio
import socket
import threading

import prometheus_client
import uvicorn
from prometheus_client.registry import CollectorRegistry
from starlette.applications import Starlette

from memory_grpc import ports
from memory_grpc.errors import StartupError
from memory_grpc.observability.http_app import application
from memory_grpc.observability.http_connection import Connection

_BACKLOG = 128
_TICK_SECONDS = 1.0  # how often the Date header moves on
_CLOSE_SECONDS = 5.0


class HttpSide:
    """Serves the metrics and the pages until it is closed."""

    def __init__(self, host: str, port: int, registry: CollectorRegistry = prometheus_client.REGISTRY) -> None:
        """Nothing is bound or read before ``start``; port 0 takes a free one."""
        self._host = host
        self._port = port
        self._registry = registry
        self._server: _Server | None = None

    def start(self) -> int:
        """Binds, begins to serve, and returns the bound port.

        Raises:
            StartupError: the address cannot be bound, or the pages are missing from the installation.
        """
        app = application(self._registry)
        try:
            listener = _listener(self._host, self._port)
        except OSError as refused:
            raise StartupError(
                ports.refusal(self._host, self._port, "MEMORY_HOST", "MEMORY_METRICS_PORT", refused)
            ) from None
        self._server = _Server(app, listener)
        return int(listener.getsockname()[1])

    def close(self) -> None:
        """Stops listening; requests being answered are cut off. May be called twice, and before ``start``."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()


class _Server(uvicorn.Server):
    """uvicorn in a thread, which neither waits for slow clients at the end nor says anything in the logs."""

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                loop="asyncio",
                ws="none",
                lifespan="off",
                proxy_headers=False,
                server_header=False,
                headers=[("Server", "memory-layer")],  # which names no version
                # Requests are not logged: scrapes come every few seconds, and query strings may hold what must not be
                # kept. Nor are errors of uvicorn's, which would bring tracebacks.
                access_log=False,
                log_config=None,
                log_level="critical",
            )
        )
        self._listener = listener
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="http-side", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the port is free."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_CLOSE_SECONDS)

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self.serve(sockets=[self._listener]))

    async def main_loop(self) -> None:
        # uvicorn's own looks for its end ten times a second.
        while not self._stopped.is_set():
            await self.on_tick(0)
            try:
                await asyncio.wait_for(self._stopped.wait(), _TICK_SECONDS)
            except TimeoutError:
                pass

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self._listener.close()
        for connection in list(self.server_state.connections):
            if isinstance(connection, Connection):
                connection.transport.abort()
        await asyncio.sleep(0)  # for the connections to learn that they are lost


def _listener(host: str, port: int) -> socket.socket:
    """A socket that listens already: who connects before the thread runs waits, and is not refused."""
    listener = ports.bound(host, port)
    try:
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener

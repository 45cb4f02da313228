"""More servers on this machine: `memory-grpc serve` as children of `memory-grpc up`, each on ports of its own.

One Python process computes on one core besides what its model takes. Ports of their own, because of one port that
several processes listen on the kernel can give all of a proxy's connections to one of them.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from memory_grpc import cpus, tls
from memory_grpc.addresses import bracketed, from_here
from memory_grpc.errors import StartupError
from memory_grpc.local import child
from memory_grpc.settings import Settings

_START_SECONDS = 120.0
# What a server opens besides its two pools, and what is left to builders of graphs and to operators.
_FIXED_CONNECTIONS, _OTHER_CONNECTIONS = 4, 12
_ASKED_EVERY_SECONDS = 0.1


def count(settings: Settings) -> int:
    """How many servers MEMORY_PROCESSES means here.

    ``auto`` is one for every two CPUs: Postgres and Envoy take about as much as the servers do (docs/scaling.md).
    """
    return max(1, cpus.available() // 2) if settings.processes == "auto" else settings.processes


def portion(settings: Settings, processes: int) -> Settings:
    """The settings of each of them: inference threads that fill the CPUs together, unless a number is set."""
    if processes == 1 or settings.embedding_workers:
        return settings
    return settings.model_copy(update={"embedding_workers": max(1, cpus.available() // processes)})


def room_for(settings: Settings, processes: int) -> dict[str, str]:
    """Settings of an embedded Postgres that has connections for all of them."""
    each = settings.database_pool_max_size + settings.database_background_pool_size + _FIXED_CONNECTIONS
    return {"max_connections": str(max(100, each * processes + _OTHER_CONNECTIONS))}


class ServerProcesses:
    """The servers after the first, on the ports after its own. Their settings are this process's environment."""

    def __init__(self, settings: Settings, conninfo: str, processes: int) -> None:
        self._settings = settings
        self._conninfo = conninfo
        self._processes = processes
        self._children: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Starts them; they get ready on their own."""
        for index in range(1, self._processes):
            variables = {
                "MEMORY_DATABASE_URL": self._conninfo,
                "MEMORY_DATABASE_DIRECT_URL": self._settings.direct_conninfo or "",
                "MEMORY_GRPC_PORT": str(self._settings.grpc_port + index),
                "MEMORY_METRICS_PORT": str(self._settings.metrics_port + index),
                "MEMORY_EMBEDDING_WORKERS": str(self._settings.embedding_workers),
            }
            command = [sys.executable, "-m", "memory_grpc", "serve", "--one-of", str(self._processes)]
            self._children.append(child.spawn_alike(command, death_signal=signal.SIGTERM, **variables))

    async def wait_ready(self) -> None:
        """Returns once all of them serve. Raises StartupError; why, they have said themselves."""
        for index in range(1, self._processes):
            await self._serves(self._settings.grpc_port + index)

    def poll(self) -> int | None:
        """The exit code of one that ended, or None while all of them run."""
        return next((code for process in self._children if (code := process.poll()) is not None), None)

    def stop(self, grace_seconds: float) -> None:
        """Lets all of them drain at once, for ``grace_seconds`` at most, and ends them."""
        for process in self._children:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)  # once: a second one does not wait for calls
        deadline = time.monotonic() + grace_seconds
        for process in self._children:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.end(process)
        self._children = []

    async def _serves(self, port: int) -> None:
        """Returns once the server on that port says that it serves."""
        address = f"{bracketed(from_here(self._settings.host))}:{port}"
        deadline = time.monotonic() + _START_SECONDS
        async with self._channel(address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while self.poll() is None:
                try:
                    answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=1.0)
                    if answer.status == health_pb2.HealthCheckResponse.SERVING:
                        return
                except grpc.aio.AioRpcError:
                    pass  # not listening yet
                if time.monotonic() > deadline:
                    raise StartupError(f"The server on port {port} was not ready in time.")
                await asyncio.sleep(_ASKED_EVERY_SECONDS)
        raise StartupError(f"A server process ended while starting (exit code {self.poll()}).")

    def _channel(self, address: str) -> grpc.aio.Channel:
        if tls.server_pair(self._settings) is None:
            return grpc.aio.insecure_channel(address)
        return grpc.aio.secure_channel(address, tls.channel_credentials(self._settings))

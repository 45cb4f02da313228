"""The edge as strangers meet it: a real Envoy in front of a server process, and raw connections to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from memory_grpc.local.envoy import EnvoyProcess
from tests.chaos.harness import ServerProcess, serving
from tests.conftest import free_port, settings_for_tests


@dataclass(frozen=True, slots=True)
class Edge:
    """Envoy, the server process behind it, and an HTTP client."""

    envoy: EnvoyProcess
    server: ServerProcess
    http: httpx.AsyncClient
    port: int

    @property
    def url(self) -> str:
        """Where REST is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def is_running(self) -> bool:
        """Whether both processes live."""
        return self.server.is_running and self.envoy.poll() is None

    async def is_well(self) -> bool:
        """Whether both live, and a message passes through both."""
        body = {"tenant_id": "well", "conversation_id": "c", "role": "user", "content": "Are you well?"}
        answer = await self.http.post("/v1/messages", json=body)
        return self.is_running and answer.status_code == 202


@asynccontextmanager
async def edge(dsn: str, directory: Path, **variables: object) -> AsyncIterator[Edge]:
    """Runs both inside the block; ``variables`` are settings of both."""
    async with serving(dsn, directory, **variables) as server:
        port = free_port()
        settings = settings_for_tests(
            grpc_port=server.grpc_port,
            metrics_port=server.metrics_port,
            http_port=port,
            **{name.lower(): value for name, value in variables.items()},
        )
        envoy = EnvoyProcess(settings, directory / "envoy")
        try:
            await asyncio.to_thread(envoy.start)
            await asyncio.to_thread(envoy.wait_ready)
            base = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as http:
                yield Edge(envoy, server, http, port)
        finally:
            await asyncio.to_thread(envoy.stop, 0.0)

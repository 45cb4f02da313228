"""The edge as strangers meet it: a real Envoy in front of a server process, and raw connections to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from memory_grpc.local import envoy_config
from memory_grpc.local.envoy import EnvoyProcess
from tests.chaos.harness import ServerProcess, serving
from tests.conftest import envoy_running, free_port, settings_for_tests


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
        async with envoy_running(settings, directory / "envoy") as (envoy, http):
            yield Edge(envoy, server, http, port)


async def exchange(port: int, *parts: bytes, pause: float = 0.0, patience: float = 20.0) -> bytes:
    """Sends bytes over a connection of its own, with pauses between the parts; all that comes back until it is closed.

    Ends with what there is when the peer hangs up in the middle. TimeoutError when it does neither in ``patience``.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    sending = asyncio.ensure_future(send())
    received = b""
    try:
        async with asyncio.timeout(patience):
            while chunk := await reader.read(65536):
                received += chunk
    except ConnectionError:
        pass
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
    return received


def status(answer: bytes) -> int:
    """The HTTP status of the last answer in these bytes, 100 Continue aside; 0 when there is none."""
    found = [line for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    numbers = [int(line.split(b" ")[1]) for line in found]
    return next((number for number in reversed(numbers) if number != 100), 0)


def patch_envoy(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str]) -> None:
    """Envoys that start from here on run envoy.yaml with these words changed, which must be in it."""
    written = envoy_config.render

    def render(*arguments: object, **named: object) -> str:
        text = written(*arguments, **named)  # type: ignore[arg-type]
        for old, new in changes.items():
            assert old in text, f"envoy.yaml says {old}"
            text = text.replace(old, new)
        return text

    monkeypatch.setattr(envoy_config, "render", render)

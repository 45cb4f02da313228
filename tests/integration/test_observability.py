"""What an operator sees: a log line a call, probes that follow the server's life."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from memory_grpc import cli
from memory_layer.v1 import key_service_pb2 as key_pb
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.key_service_pb2_grpc import KeyServiceStub
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub
from tests.conftest import StartServer, free_port


@pytest.mark.asyncio
async def test_a_call_is_one_json_line_with_its_request_id_and_nothing_of_its_content(dsn: str, tmp_path: Path) -> None:
    port = free_port()
    variables = {
        "MEMORY_DATABASE_URL": dsn_url(dsn),
        "MEMORY_API_KEYS": "canary-key-of-sixteen",
        "MEMORY_EMBEDDING_PROVIDER": "hashing",
        "MEMORY_GRPC_PORT": str(port),
        "MEMORY_METRICS_PORT": str(free_port()),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memory_grpc", "serve"),
        env=os.environ | variables,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await wait_serving(channel)
            memory: Any = MemoryServiceStub(channel)
            request = pb.IngestMessageRequest(
                tenant_id="t", conversation_id="c", role="user", content="canary-content", name="canary-name"
            )
            request.metadata.update({"k": "canary-metadata"})
            made = await KeyServiceStub(channel).CreateApiKey(
                key_pb.CreateApiKeyRequest(label="canary-label", role="writer", tenant_ids=["t"]),
                metadata=(("x-api-key", "canary-key-of-sixteen"),),
            )
            await memory.IngestMessage(request, metadata=(("x-api-key", made.key), ("x-request-id", "call-2")))
            await memory.IngestMessage(
                request, metadata=(("x-api-key", "canary-key-of-sixteen"), ("x-request-id", "call-1"))
            )
            with pytest.raises(grpc.aio.AioRpcError):
                await memory.IngestMessage(request, metadata=(("x-api-key", "canary-wrong"),))
    finally:
        process.terminate()
        output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    call = next(line for line in lines if line.get("request_id") == "call-1")
    assert (call["event"], call["method"], call["code"]) == (
        "call",
        "/memory_layer.v1.MemoryService/IngestMessage",
        "OK",
    )
    assert call["milliseconds"] > 0
    assert (call["client"], call["key"]) == ("127.0.0.1", "setting:1")
    by_made = next(line for line in lines if line.get("request_id") == "call-2")
    prefix = made.key.split("_")[1]
    assert by_made["key"] == f"key:{prefix}"
    assert made.key.removeprefix(f"mk_{prefix}_") not in output
    refused = next(line for line in lines if line.get("code") == "UNAUTHENTICATED")
    assert refused["client"] == "127.0.0.1"
    assert "key" not in refused
    assert "UNAUTHENTICATED" in {line.get("code") for line in lines}
    assert "canary" not in output


def dsn_url(dsn: str) -> str:
    """A DSN in the spelling of the documents."""
    parts = conninfo_to_dict(dsn)
    return f"postgresql+asyncpg://{parts['user']}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"


async def wait_serving(channel: grpc.aio.Channel) -> None:
    stub = health_pb2_grpc.HealthStub(channel)
    async with asyncio.timeout(30):
        while True:
            try:
                check = await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
                if check.status == health_pb2.HealthCheckResponse.SERVING:
                    return
            except grpc.aio.AioRpcError:
                pass
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_health_says_not_serving_first_when_the_server_drains(start_server: StartServer) -> None:
    async with start_server() as server:
        stub = health_pb2_grpc.HealthStub(server.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="memory_layer.v1.MemoryService"))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        drained = asyncio.create_task(server.application.server.drain())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        await drained


# The probe command against the reference health servicer, on the fixtures of pytest-grpc.


@pytest.fixture(scope="module")
def grpc_addr() -> str:
    return f"127.0.0.1:{free_port()}"  # the plugin's own leaves a socket open


@pytest.fixture(scope="module")
def grpc_add_to_server() -> Any:
    return health_pb2_grpc.add_HealthServicer_to_server


@pytest.fixture(scope="module")
def grpc_servicer() -> health.HealthServicer:
    return health.HealthServicer()


@pytest.mark.parametrize(("status", "code"), [("SERVING", 0), ("NOT_SERVING", 3)])
def test_the_probe_command_follows_the_standard_health_service(
    grpc_server: Any, grpc_addr: str, grpc_servicer: health.HealthServicer, status: str, code: int
) -> None:
    grpc_servicer.set("", health_pb2.HealthCheckResponse.ServingStatus.Value(status))
    result = CliRunner().invoke(cli.app, ["health", "--grpc", "--address", grpc_addr])
    assert result.exit_code == code, result.output

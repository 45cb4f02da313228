"""Keys, CORS, deadlines: who may call, from where, for how long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import StartRest, StartServer

Rows = Callable[..., list[tuple[Any, ...]]]
SEARCH = {"tenant_id": "t", "query": "q"}
ONE, TWO = "the-first-key-of-two", "the-second-key-of-two"


@pytest.mark.asyncio
async def test_a_key_is_needed_on_everything_but_health_metrics_and_docs(start_rest: StartRest) -> None:
    async with start_rest(api_keys=f"{ONE},{TWO}") as rest:
        for headers, status in (
            ({}, 401),
            ({"x-api-key": "the-third-key-of-two"}, 401),
            ({"x-api-key": f"{ONE},{TWO}"}, 401),
            ({"x-api-key": ONE}, 200),
            ({"x-api-key": TWO}, 200),
        ):
            response = await rest.http.get("/v1/memory/search", params=SEARCH, headers=headers)
            assert response.status_code == status, headers
        refused = (await rest.http.get("/v1/memory/search", params=SEARCH)).json()
        assert (refused["code"], refused["details"][0]["reason"]) == (16, "INVALID_API_KEY")
        for method, path in (
            ("POST", "/v1/messages"),
            ("POST", "/v1/messages:batch"),
            ("GET", "/v1/messages/550e8400-e29b-41d4-a716-446655440000"),
            ("POST", "/v1/memory/search"),
            ("POST", "/v1/admin/retention/run"),
            ("POST", "/v1/admin/embeddings/retry"),
            ("GET", "/v1/admin/graphs"),
            ("GET", "/v1/admin/tenants/t/policy"),
            ("PUT", "/v1/admin/tenants/t/policy"),
            ("GET", "/v1/admin/api-keys"),
            ("POST", "/v1/admin/api-keys"),
            ("POST", "/v1/admin/api-keys/550e8400-e29b-41d4-a716-446655440000:revoke"),
        ):
            response = await rest.http.request(method, path, json={} if method != "GET" else None)
            assert response.status_code == 401, path
        for path in ("/v1/admin/health", "/metrics", "/docs", "/console", "/openapi.json"):
            assert (await rest.http.get(path, follow_redirects=True)).status_code == 200, path


@pytest.mark.asyncio
async def test_probes_need_no_key_and_reflection_shows_strangers_the_health_service_only(
    start_server: StartServer,
) -> None:
    async with start_server(api_keys=ONE) as server:
        health = health_pb2_grpc.HealthStub(server.channel)
        for name in ("", "memory_layer.v1.MemoryService", "memory_layer.v1.AdminService"):
            check = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert check.status == health_pb2.HealthCheckResponse.SERVING
        stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)

        async def ask(symbol: str, *metadata: tuple[str, str]) -> reflection_pb2.ServerReflectionResponse:
            call = stub.ServerReflectionInfo(metadata=metadata)
            await call.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))
            await call.done_writing()
            return await call.read()

        assert (await ask("grpc.health.v1.Health")).file_descriptor_response.file_descriptor_proto
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await ask("memory_layer.v1.MemoryService")
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        answer = await ask("memory_layer.v1.MemoryService", ("x-api-key", ONE))
        assert answer.file_descriptor_response.file_descriptor_proto


@pytest.mark.asyncio
async def test_cors_is_for_the_allowed_origins_only(start_rest: StartRest) -> None:
    async with start_rest(allowed_origins="https://good.example") as rest:
        for origin, allowed in (("https://good.example", True), ("https://evil.example", False)):
            preflight = await rest.http.options(
                "/v1/messages",
                headers={
                    "origin": origin,
                    "access-control-request-method": "POST",
                    "access-control-request-headers": "content-type,x-api-key",
                },
            )
            assert (preflight.headers.get("access-control-allow-origin") == origin) is allowed
            actual = await rest.http.get("/v1/memory/search", params=SEARCH, headers={"origin": origin})
            assert (actual.headers.get("access-control-allow-origin") == origin) is allowed


@pytest.mark.asyncio
async def test_the_deadline_is_real_down_to_the_statement(start_rest: StartRest, rows: Rows) -> None:
    async with start_rest(request_timeout_seconds=1.0) as rest:
        async with rest.server.database.maintenance() as owner, owner.transaction():
            await owner.execute(b"lock table messages in access exclusive mode")
            started = time.monotonic()
            body = {"tenant_id": "t", "conversation_id": "c", "role": "user", "content": "held up"}
            response = await rest.http.post("/v1/messages", json=body)
            assert response.status_code == 504
            assert set(response.json()) == {"code", "message", "details"}
            assert time.monotonic() - started < 3
            async with asyncio.timeout(3):
                while rows("select count(*) from pg_stat_activity where wait_event_type = 'Lock'") != [(0,)]:
                    await asyncio.sleep(0.02)
        assert rows("select count(*) from messages") == [(0,)]
        # A client's own, shorter deadline counts too.
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await rest.server.memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id="t", query="q"), timeout=0.0001)
        assert late.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.asyncio
async def test_bytes_that_are_no_message_are_invalid_not_unknown(start_server: StartServer) -> None:
    async with start_server() as server:
        call = server.channel.unary_unary("/memory_layer.v1.MemoryService/IngestMessage")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(b"\xff\xff\xff")
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await server.channel.unary_unary("/memory_layer.v1.MemoryService/NoSuchMethod")(b"")
        assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED
        details = rpc_status.from_call(unknown.value)
        assert details is not None
        assert b"UNKNOWN_METHOD" in details.SerializeToString()
        with pytest.raises(grpc.aio.AioRpcError) as large:
            await call(b"\x0a" + b"x" * (5 * 1024 * 1024))
        assert large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

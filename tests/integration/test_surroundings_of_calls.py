"""How callers come in: by IPv6, through proxies that are not meant, with pings, by either name of reflection."""

from __future__ import annotations

import asyncio
import struct
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from memory_grpc.reflection import V1
from tests.cli import Cli
from tests.conftest import StartRest, StartServer

KEY = "the-key-of-these-calls"
NOWHERE = "http://127.0.0.1:9"


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["::1", "[::1]", "::", "[::]"])
async def test_the_server_listens_on_ipv6(start_server: StartServer, cli: Cli, host: str) -> None:
    async with start_server(host=host, accept_open_access=True) as server:
        port, metrics = server.application.grpc_port, server.application.metrics_port
        for address in ("[::1]", "127.0.0.1") if "1" not in host else ("[::1]",):
            async with grpc.aio.insecure_channel(f"{address}:{port}") as channel:
                check = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
                assert check.status == health_pb2.HealthCheckResponse.SERVING
        reader, writer = await asyncio.open_connection("::1", metrics)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b" 200 " in await reader.readline()
        writer.close()
        done = await cli("health", "--grpc", MEMORY_HOST=host, MEMORY_GRPC_PORT=str(port))
        assert (done.code, done.out.strip()) == (0, "SERVING"), done.err


@pytest.mark.asyncio
async def test_envoy_on_every_address_takes_ipv4_too(start_rest: StartRest) -> None:
    async with start_rest(http_host="[::]", host="::1", upstream_host="[::1]", accept_open_access=True) as rest:
        for address in ("127.0.0.1", "[::1]"):
            url = f"http://{address}:{rest.server.settings.http_port}/v1/memory/search?tenant_id=t&query=q"
            assert (await rest.http.get(url)).status_code == 200


@pytest.mark.asyncio
async def test_no_proxy_is_asked_for_this_machine(start_server: StartServer, cli: Cli) -> None:
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "grpc_proxy", "ALL_PROXY"), NOWHERE)
    async with start_server() as server:
        for address in (server.grpc_address, f"localhost:{server.application.grpc_port}"):
            done = await cli("health", "--grpc", "--address", address, **proxies)
            assert (done.code, done.out.strip()) == (0, "SERVING"), done.err
            done = await cli("policy", "show", "--tenant", "acme", "--address", address, **proxies)
            assert done.code == 0, done.err


def frame(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags, 0, 0, 0, 0]) + payload


@pytest.mark.asyncio
@pytest.mark.timeout(120)
async def test_a_client_without_calls_may_ping(start_server: StartServer) -> None:
    """As clients do whose keepalive is permitted without calls; grpc hangs up on the third by itself."""
    settings, ping, goaway, ack = 4, 6, 7, 1
    async with start_server() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.application.grpc_port)
        writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(settings, 0, b""))
        answered = 0
        sent_at = -10.0
        while answered < 5:
            if time.monotonic() - sent_at > 5.5:
                sent_at = time.monotonic()
                writer.write(frame(ping, 0, struct.pack(">Q", answered)))
            try:
                head = await asyncio.wait_for(reader.readexactly(9), 0.5)
            except TimeoutError:
                continue
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            assert head[3] != goaway, payload
            if head[3] == settings and not head[4] & ack:
                writer.write(frame(settings, ack, b""))
            answered += head[3] == ping and bool(head[4] & ack)
            if head[3] == ping and not head[4] & ack:
                writer.write(frame(ping, ack, payload))
        writer.close()


@pytest.mark.asyncio
async def test_reflection_and_health_answer_under_every_name_they_have(start_server: StartServer) -> None:
    async with start_server(api_keys=KEY) as server:
        listed = await health_pb2_grpc.HealthStub(server.channel).List(health_pb2.HealthListRequest())
        assert listed.statuses["memory_layer.v1.MemoryService"].status == health_pb2.HealthCheckResponse.SERVING
        for service in (V1, "grpc.reflection.v1alpha.ServerReflection"):
            names = await reflected(server.channel, service, "list", ("x-api-key", KEY))
            assert {"memory_layer.v1.MemoryService", "grpc.health.v1.Health", service, V1} <= set(names)
            for name in names:
                assert await reflected(server.channel, service, name, ("x-api-key", KEY)), f"{name} can be described"
            assert await reflected(server.channel, service, "grpc.health.v1.Health")
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await reflected(server.channel, service, "list")
            # Not UNIMPLEMENTED, on which a tool would try the other name.
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def reflected(channel: grpc.aio.Channel, service: str, what: str, *metadata: tuple[str, str]) -> list[str]:
    """The services, or the names of the files that describe a symbol."""
    call = channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )(metadata=metadata)
    request = reflection_pb2.ServerReflectionRequest
    await call.write(request(list_services="") if what == "list" else request(file_containing_symbol=what))
    answer = await call.read()
    assert isinstance(answer, reflection_pb2.ServerReflectionResponse)
    await call.done_writing()
    if what == "list":
        return [found.name for found in answer.list_services_response.service]
    return [str(len(file)) for file in answer.file_descriptor_response.file_descriptor_proto]

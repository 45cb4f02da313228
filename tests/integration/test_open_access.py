"""Who comes in without a key: this machine's users, unless somebody says otherwise; and one of them makes the first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from memory_grpc.errors import StartupError
from memory_layer.v1 import key_service_pb2 as keys_pb
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub
from tests.conftest import RunningRest, StartRest, StartServer

Rows = Callable[..., list[tuple[Any, ...]]]
SEARCH = {"tenant_id": "t", "query": "q"}
ROOT = "a-root-key-of-this-test"


def first_key() -> keys_pb.CreateApiKeyRequest:
    return keys_pb.CreateApiKeyRequest(label="first", role="admin", all_tenants=True)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"host": "0.0.0.0"}, "MEMORY_HOST=0.0.0.0 can"),
        ({"http_host": "0.0.0.0"}, "MEMORY_HTTP_HOST=0.0.0.0 can"),
        ({"host": "0.0.0.0", "http_host": "::"}, "MEMORY_HOST=0.0.0.0 and MEMORY_HTTP_HOST=:: can"),
    ],
)
async def test_other_machines_and_no_key_stop_the_start(
    start_server: StartServer, changes: dict[str, str], named: str
) -> None:
    with pytest.raises(StartupError) as refused:
        async with start_server(**changes):
            pass
    assert str(refused.value).startswith(named)
    assert "MEMORY_ACCEPT_OPEN_ACCESS=true" in str(refused.value)


@pytest.mark.asyncio
async def test_a_key_that_can_be_guessed_is_for_this_machine(start_server: StartServer) -> None:
    async with start_server(api_keys="key1,key2,key3"):
        pass
    with pytest.raises(StartupError, match=r"MEMORY_HOST=0\.0\.0\.0 can .* fewer than 16 characters"):
        async with start_server(host="0.0.0.0", api_keys=f"{ROOT},key1"):
            pass
    async with start_server(host="0.0.0.0", api_keys="key1", accept_open_access=True):
        pass


@pytest.mark.asyncio
async def test_a_key_of_either_kind_or_a_consent_opens_other_addresses(start_server: StartServer, rows: Rows) -> None:
    for changes in ({"api_keys": ROOT}, {"accept_open_access": True}):
        async with start_server(host="0.0.0.0", http_host="0.0.0.0", **changes):
            pass
    async with start_server() as server:
        made = await server.key.CreateApiKey(first_key())
        await server.key.RevokeApiKey(
            keys_pb.RevokeApiKeyRequest(key_id=made.api_key.id), metadata=(("x-api-key", made.key),)
        )
    # Revoked as it is: from the first key on every call needs one.
    async with start_server(host="0.0.0.0"):
        pass


@pytest.mark.asyncio
async def test_of_many_who_make_the_first_key_at_once_one_does(start_server: StartServer, rows: Rows) -> None:
    async with start_server() as one, start_server() as two:
        calls = [server.key.CreateApiKey(first_key()) for server in (one, two) * 4]
        answers = await asyncio.gather(*calls, return_exceptions=True)
    keys = [answer for answer in answers if isinstance(answer, keys_pb.CreateApiKeyResponse)]
    refusals = [answer.code() for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert len(keys) == 1
    assert refusals == [grpc.StatusCode.UNAUTHENTICATED] * 7
    assert rows("select count(*) from api_keys") == [(1,)]


@pytest.mark.asyncio
async def test_without_keys_no_name_but_this_machines_own_is_answered(start_rest: StartRest) -> None:
    async with start_rest(allowed_hosts=["memory.example"]) as rest:
        for host in ("localhost", "LocalHost:8000", "127.0.0.1:9", "[::1]", "[::1]:8000", "memory.example:443"):
            assert await answered(rest, host) == 200, host
        for host in (
            "rebound.example",
            "rebound.example:8000",
            "127.0.0.1.nip.io",
            "localhost.example",
            "evil",
            "[::2]",
        ):
            assert await answered(rest, host) == 400, host
        refused = await rest.http.get("/v1/memory/search", params=SEARCH, headers={"host": "rebound.example"})
        assert refused.json()["message"] == "The request cannot be read: Its host is none of MEMORY_ALLOWED_HOSTS."
        assert refused.json()["details"][0]["reason"] == "MALFORMED_REQUEST"
        for path in ("/metrics", "/docs", "/nothing"):
            assert (await rest.http.get(path, headers={"host": "rebound.example"})).status_code == 400


@pytest.mark.asyncio
async def test_without_keys_grpc_by_another_name_is_refused_as_not_permitted(start_rest: StartRest) -> None:
    async with start_rest() as rest:
        for name, code in (("localhost", "OK"), ("rebound.example", "PERMISSION_DENIED")):
            assert await code_by(f"127.0.0.1:{rest.server.settings.http_port}", name) == code


async def code_by(address: str, name: str) -> str:
    async with grpc.aio.insecure_channel(address, options=[("grpc.default_authority", name)]) as channel:
        try:
            await MemoryServiceStub(channel).SearchMemories(pb.SearchMemoriesRequest(**SEARCH), timeout=10)
        except grpc.aio.AioRpcError as error:
            return error.code().name
    return "OK"


@pytest.mark.asyncio
@pytest.mark.parametrize("changes", [{"api_keys": ROOT}, {"allowed_hosts": "*"}])
async def test_with_a_key_or_by_consent_every_name_is_answered(start_rest: StartRest, changes: dict[str, str]) -> None:
    async with start_rest(**changes) as rest:
        assert await answered(rest, "memory.example", **{"x-api-key": ROOT}) == 200


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 200),
        ({"metrics_public": "never"}, 404),
        ({"http_host": "0.0.0.0"}, 404),
        ({"http_host": "0.0.0.0", "metrics_public": "always"}, 200),
    ],
)
async def test_metrics_are_shown_where_only_this_machine_sees_them_or_by_consent(
    start_rest: StartRest, changes: dict[str, str], status: int
) -> None:
    async with start_rest(accept_open_access=True, **changes) as rest:
        assert (await rest.http.get("/metrics")).status_code == status
        assert (await rest.http.post("/metrics")).status_code == (405 if status == 200 else 404)
        assert (await rest.http.get("/openapi.json")).status_code == 200
        assert (await rest.http.get(f"http://127.0.0.1:{rest.server.settings.metrics_port}/metrics")).status_code == 200


async def answered(rest: RunningRest, host: str, **headers: str) -> int:
    answer = await rest.http.get("/v1/memory/search", params=SEARCH, headers={"host": host, **headers})
    return answer.status_code

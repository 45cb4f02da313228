"""MEMORY_GLOBAL_RATE_LIMIT, as a client sees it."""

from __future__ import annotations

import grpc
import httpx
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningRest, StartRest, StartServer

SEARCH = {"tenant_id": "t", "query": "q"}


@pytest.mark.asyncio
async def test_past_the_limit_is_429_with_retry_after(start_rest: StartRest) -> None:
    async with start_rest(global_rate_limit="5/minute") as rest:
        statuses = [(await rest.http.get("/v1/memory/search", params=SEARCH)).status_code for _ in range(5)]
        assert statuses == [200] * 5
        refused = await rest.http.get("/v1/memory/search", params=SEARCH)
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (refused.json()["code"], refused.json()["details"][0]["reason"]) == (8, "RATE_LIMITED")
        assert (await rest.http.get("/v1/admin/health")).status_code == 200, "probes are counted apart"


async def searched(rest: RunningRest, forwarded_for: str) -> int:
    answer = await rest.http.get("/v1/memory/search", params=SEARCH, headers={"x-forwarded-for": forwarded_for})
    return answer.status_code


@pytest.mark.asyncio
async def test_clients_of_a_proxy_on_this_machine_are_told_apart(start_rest: StartRest) -> None:
    """A proxy in front of Envoy, which is trusted as all of this machine is, and which writes ports."""
    async with start_rest(global_rate_limit="1/minute") as rest:
        for client, again in (("203.0.113.1:4711", "203.0.113.1:4712"), ("[2001:db8::1]:80", "[2001:db8::2]:81")):
            assert [await searched(rest, client), await searched(rest, f"9.9.9.9, {again}")] == [200, 429]


@pytest.mark.asyncio
async def test_a_forged_address_is_no_way_around_the_limit(start_rest: StartRest) -> None:
    # Of this machine only Envoy, which calls from 127.0.0.1, is trusted.
    async with start_rest(global_rate_limit="1/minute", trusted_proxies="127.0.0.1/32") as rest:
        async with httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(local_address="127.0.0.2"), base_url=rest.http.base_url, timeout=30
        ) as stranger:
            codes = [
                (await stranger.get("/v1/memory/search", params=SEARCH, headers={"x-forwarded-for": f"9.9.9.{n}"}))
                for n in range(2)
            ]
        assert [code.status_code for code in codes] == [200, 429]


@pytest.mark.asyncio
async def test_a_proxy_that_is_not_trusted_is_one_client(start_server: StartServer) -> None:
    async with start_server(global_rate_limit="2/minute", trusted_proxies="10.0.0.0/8") as server:
        for i in range(2):
            await server.memory.SearchMemories(
                pb.SearchMemoriesRequest(**SEARCH), metadata=(("x-forwarded-for", f"8.8.8.{i}"),)
            )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.memory.SearchMemories(
                pb.SearchMemoriesRequest(**SEARCH), metadata=(("x-forwarded-for", "8.8.8.9"),)
            )
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        trailers = dict(refused.value.trailing_metadata() or ())
        assert int(str(trailers["retry-after"])) >= 1

"""MEMORY_GLOBAL_RATE_LIMIT, as a client sees it."""

from __future__ import annotations

import grpc
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import StartRest, StartServer

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
        # A forged x-forwarded-for is no way around it; probes are not counted.
        forged = await rest.http.get("/v1/memory/search", params=SEARCH, headers={"x-forwarded-for": "9.9.9.9"})
        assert forged.status_code == 429
        assert (await rest.http.get("/v1/admin/health")).status_code == 200


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

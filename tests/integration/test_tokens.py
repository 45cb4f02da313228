"""Tokens beside keys, on a real server behind a real Envoy, with a provider that rotates its keys and goes away."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from memory_grpc.client import AsyncMemoryClient
from memory_grpc.operations.tokens import published_keys, verify
from memory_layer.v1 import audit_service_pb2 as audit
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import until
from tests.cli import Cli
from tests.conftest import RunningRest, RunningServer, StartRest, StartServer
from tests.tokens import AUDIENCE, jwk, key_set, provider, token

ROOT = "a root key of some length"
MESSAGE = {"tenant_id": "acme", "conversation_id": "c", "role": "user", "content": "hello"}


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


async def told(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["details"][0]["reason"], body["message"]


async def search(rest: RunningRest, headers: dict[str, str], tenant: str = "acme") -> httpx.Response:
    return await rest.http.get("/v1/memory/search", params={"tenant_id": tenant, "query": "q"}, headers=headers)


async def code(server: RunningServer, text: str) -> str:
    request = pb.SearchMemoriesRequest(tenant_id="acme", query="q")
    try:
        await server.memory.SearchMemories(request, metadata=list(bearer(text).items()), timeout=10)
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


@pytest.mark.asyncio
async def test_a_token_does_what_a_key_of_its_role_and_tenants_does(start_rest: StartRest) -> None:
    with provider() as here:
        here.publish(jwk(), jwk("EdDSA"))
        mine = {"iss": here.address}
        async with start_rest(jwt_issuer=here.address, jwt_audience=AUDIENCE, api_keys=[ROOT]) as rest:
            reader, writer = token(**mine), token("EdDSA", **mine, memory_role="writer")
            assert (await rest.http.post("/v1/messages", json=MESSAGE, headers=bearer(writer))).status_code == 202
            assert (await search(rest, bearer(reader))).json()["total"] == 1
            assert (await search(rest, {"authorization": f"bearer {reader}"})).json()["total"] == 1
            assert await code(rest.server, reader) == "OK"
            refused = await rest.http.post("/v1/messages", json=MESSAGE, headers=bearer(reader))
            assert (await told(refused))[:2] == (403, "KEY_NOT_ALLOWED")
            assert (await told(await search(rest, bearer(reader), "rival")))[:2] == (403, "TENANT_NOT_ALLOWED")
            # All that is wrong is told in the same words.
            wrong = [
                {},
                {"authorization": "Bearer"},
                bearer("x"),
                bearer(reader[:-4]),
                bearer(token(**mine, exp=1)),
                bearer(token(**mine, aud="other")),
                bearer(token()),
                {"authorization": f"Basic {reader}"},
                {"authorization": reader},
                {"x-api-key": reader},
                # A key that is shown decides, whatever stands beside it.
                bearer(reader) | {"x-api-key": "wrong"},
            ]
            answers = {await told(await search(rest, headers)) for headers in wrong}
            assert answers == {(401, "INVALID_API_KEY", "A valid x-api-key or token is required.")}
            assert (await search(rest, bearer("x") | {"x-api-key": ROOT})).status_code == 200
            assert (await rest.http.get("/v1/admin/health")).status_code == 200

            async def used() -> set[str]:
                request = audit.ListEventsRequest(action="key.use")
                found = await rest.server.audit.ListEvents(request, metadata=[("x-api-key", ROOT)])
                return {event.actor for event in found.events} & {"jwt:ann"}

            assert await until(used) == {"jwt:ann"}


@pytest.mark.asyncio
async def test_where_tokens_are_believed_every_call_needs_one_or_a_key(start_server: StartServer) -> None:
    with provider() as here:
        here.publish(jwk())
        async with start_server(jwt_jwks_url=f"{here.address}/keys", jwt_audience=AUDIENCE) as server:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await server.memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id="acme", query="q"))
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert await code(server, token()) == "OK"


@pytest.mark.asyncio
async def test_without_settings_a_token_is_nothing(start_server: StartServer) -> None:
    async with start_server(api_keys=[ROOT]) as server:
        assert await code(server, token()) == "UNAUTHENTICATED"


@pytest.mark.asyncio
async def test_a_provider_that_is_down_at_the_start_is_waited_for_by_nobody(start_rest: StartRest) -> None:
    with provider() as here:
        async with start_rest(jwt_issuer=here.address, jwt_audience=AUDIENCE, api_keys=[ROOT]) as rest:
            text = token(iss=here.address)
            answer = await search(rest, bearer(text))
            assert (await told(answer))[:2] == (503, "IDENTITY_UNAVAILABLE")
            assert (await search(rest, {"x-api-key": ROOT})).status_code == 200
            here.publish(jwk())
            # As its loop does, by and by.
            await rest.server.application.published_keys.refresh()
            assert (await search(rest, bearer(text))).status_code == 200
            here.fail()
            await rest.server.application.published_keys.refresh()
            assert (await search(rest, bearer(text))).status_code == 200


@pytest.mark.asyncio
async def test_a_provider_that_hangs_holds_up_neither_the_start_nor_a_call(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published_keys, "FIRST_SECONDS", 0.2)
    with provider() as here:
        here.publish(jwk())
        here.may_answer.clear()
        async with start_server(jwt_jwks_url=f"{here.address}/keys", jwt_audience=AUDIENCE) as server:
            assert await code(server, token()) == "UNAVAILABLE"
            here.may_answer.set()

            async def holds() -> bool:
                return await code(server, token()) == "OK"

            await until(holds)


@pytest.mark.asyncio
async def test_a_key_that_is_new_is_fetched_soon_and_not_by_each_call(start_server: StartServer) -> None:
    with provider() as here:
        here.publish(jwk("RS256", 0))
        async with start_server(jwt_jwks_url=f"{here.address}/keys", jwt_audience=AUDIENCE) as server:
            here.publish(jwk("RS256", 0), jwk("RS256", 1))
            asked = len(here.asked)

            async def holds() -> bool:
                return await code(server, token("RS256", 1)) == "OK"

            await until(holds)
            assert await code(server, token("RS256", 0)) == "OK"
            for number in range(20):
                await code(server, token("RS256", 1, headers={"kid": f"unknown-{number}"}))
            assert len(here.asked) - asked <= 2


@pytest.mark.asyncio
async def test_a_file_of_keys_is_read_again(start_server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(key_set(jwk("RS256", 0))))
    async with start_server(jwt_jwks_file=file, jwt_audience=AUDIENCE) as server:
        assert await code(server, token("RS256", 0)) == "OK"
        file.write_text(json.dumps(key_set(jwk("RS256", 1))))
        await server.application.published_keys.refresh()
        assert await code(server, token("RS256", 0)) == "UNAUTHENTICATED"
        assert await code(server, token("RS256", 1)) == "OK"


@pytest.mark.asyncio
async def test_a_stream_ends_with_its_token(start_server: StartServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "LEEWAY_SECONDS", 0.0)
    with provider() as here:
        here.publish(jwk())
        async with start_server(jwt_jwks_url=f"{here.address}/keys", jwt_audience=AUDIENCE) as server:
            ends_at = int(time.time()) + 3
            sent = 0

            async def messages() -> AsyncIterator[Any]:
                nonlocal sent
                while time.time() < ends_at + 5:
                    yield pb.StreamIngestRequest(message=pb.IngestMessageRequest(**MESSAGE))
                    sent += 1
                    await asyncio.sleep(0.2)

            metadata = list(bearer(token(memory_role="writer", exp=ends_at)).items())
            with pytest.raises(grpc.aio.AioRpcError) as ended:
                async for _ in server.memory.StreamIngest(messages(), metadata=metadata):
                    assert time.time() < ends_at + 2
            assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert sent > 1


@pytest.mark.asyncio
async def test_clients_and_tools_take_a_token_in_place_of_a_key(start_server: StartServer, cli: Cli) -> None:
    with provider() as here:
        here.publish(jwk())
        async with start_server(jwt_jwks_url=f"{here.address}/keys", jwt_audience=AUDIENCE) as server:
            text = token(memory_role="writer")
            async with AsyncMemoryClient(server.grpc_address, api_key=text, tenant_id="acme") as client:
                assert not (await client.search_memories(query="q")).items
            call = {"name": "list_memories", "arguments": {}}
            body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
            async with cli.tools(server.grpc_address) as url, httpx.AsyncClient(trust_env=False, timeout=30) as http:
                refused = []
                for shown in (text, text[:-4], token(memory_tenants=["rival"])):
                    answer = await http.post(url, json=body, headers=bearer(shown) | {"accept": "application/json"})
                    refused.append(answer.json()["result"]["isError"])
            assert refused == [False, True, True]

"""What the contract declares of an RPC is what is asked of its callers; what declares nothing is for nobody."""

from __future__ import annotations

import pytest

from memory_grpc.access import ANONYMOUS, EVERYTHING, Grant, Role
from memory_grpc.errors import PermissionDenied, TenantNotAllowed
from memory_grpc.interceptors import call as call_module
from memory_grpc.interceptors.authorize import authorize, check_request
from memory_grpc.rpc_facts import UNDECLARED, RpcFacts
from memory_layer.v1.memory_service_pb2 import GetMessageRequest, SearchMemoriesRequest
from tests.unit.interceptors.fakes import HEALTH, METHOD, PROBE, fake_call

SEARCH = "/memory_layer.v1.MemoryService/SearchMemories"
KEYS = "/memory_layer.v1.KeyService/ListApiKeys"


async def enter(method: str, grant: Grant | None) -> None:
    call = fake_call(method)
    call.grant = grant
    async with authorize(call):
        pass


@pytest.mark.asyncio
@pytest.mark.parametrize("grant", [EVERYTHING, ANONYMOUS, Grant(Role.READER, frozenset({"acme"}))])
async def test_an_rpc_that_declares_nothing_is_refused_to_everybody(
    grant: Grant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(call_module.FACTS, METHOD, UNDECLARED)
    with pytest.raises(PermissionDenied):
        await enter(METHOD, grant)
    call = fake_call(METHOD)
    call.grant = grant
    with pytest.raises(PermissionDenied):
        check_request(call, GetMessageRequest(message_id="x"))


@pytest.mark.asyncio
async def test_so_is_one_that_the_contract_does_not_hold() -> None:
    for method in (f"{METHOD}Now", "/memory_layer.v1.Other/SearchMemories", "/other.v1.MemoryService/GetMessage"):
        with pytest.raises(PermissionDenied):
            await enter(method, EVERYTHING)


@pytest.mark.asyncio
async def test_what_is_open_asks_for_nothing() -> None:
    for method in (HEALTH, PROBE):
        await enter(method, None)


@pytest.mark.asyncio
async def test_role_and_reach_are_the_contract_s(monkeypatch: pytest.MonkeyPatch) -> None:
    own = Grant(Role.READER, frozenset({"acme"}))
    await enter(SEARCH, own)
    for grant in (own, Grant(Role.WRITER, None), Grant(Role.ADMIN, frozenset({"acme"}))):
        with pytest.raises(PermissionDenied):
            await enter(KEYS, grant)
    await enter(KEYS, Grant(Role.ADMIN, None))
    call = fake_call(SEARCH)
    call.grant = own
    check_request(call, SearchMemoriesRequest(tenant_id="acme"))
    with pytest.raises(TenantNotAllowed):
        check_request(call, SearchMemoriesRequest(tenant_id="globex"))
    facts = RpcFacts(kind="read", role="writer", reach="named_tenants")
    monkeypatch.setitem(call_module.FACTS, SEARCH, facts)
    with pytest.raises(PermissionDenied):
        await enter(SEARCH, own)

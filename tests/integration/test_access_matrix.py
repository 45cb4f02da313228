"""Every RPC × every key and token × every place an identifier can stand, made from the descriptors: nothing leaks."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pytest

from memory_layer.v1 import access_pb2, key_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.access import RPCS, Caller, Outcome, Place, Rpc
from tests.chaos.harness import item
from tests.conftest import RunningServer, StartRest
from tests.tokens import AUDIENCE, jwk, provider, token

Rows = Callable[..., list[tuple[Any, ...]]]
ROOT = "root-key-of-this-test"
CONNECTIONS = 8
OWN, OTHER, NOBODY = "acme", "globex", "never-heard-of"
CANARY = {OWN: "CANARY of acme", OTHER: "CANARY of globex"}
ROLES = {1: "reader", 2: "writer", 3: "admin"}
KINDS = ("own", "other", "all", "revoked", "expired")
NO_KEY = {"missing": None, "unknown": f"mk_{'0' * 12}_{'x' * 43}", "empty": "", "no token": "Bearer x.y.z"}
# Before the name of a kind of key: a token that grants, or does not, the same.
TOKEN = "token "
# Over REST Envoy says so, before the body is read: in the same words, with headers of its own.
UNSENT = ("missing", "empty")
UNNAMED = ", tenant not named"
# RPCs whose requests name no tenant, and why they need not.
NO_TENANT = {
    "GetHealth": "open; of the deployment",
    "CreateApiKey": "of the deployment: only admin keys for all tenants; tenant_ids is what the new key gets",
    "ListApiKeys": "of the deployment: only admin keys for all tenants",
    "RevokeApiKey": "of the deployment: only admin keys for all tenants",
    "GetReembedding": "of the deployment: only admin keys for all tenants",
    "CompareReembedding": "of the deployment: only admin keys for all tenants",
    "CutOverReembedding": "of the deployment: only admin keys for all tenants",
    "CancelReembedding": "of the deployment: only admin keys for all tenants",
}


# What an allowed key gets here where nothing is being embedded again: it got past the key's questions all the same.
ALLOWED = {rpc.name: {"OK", "FAILED_PRECONDITION", "NOT_FOUND"} for rpc in RPCS if rpc.name.endswith("Reembedding")}
# There is one message, and the first that may erases it.
ALLOWED["DeleteMessage"] = {"OK", "NOT_FOUND"}
# Nobody's messages are in no tenant of that name.
ALLOWED |= {"UpdateMessage": {"OK", "NOT_FOUND"}, "ListRevisions": {"OK", "NOT_FOUND"}}
# No erasure has the id of the example.
ALLOWED |= {rpc.name: {"NOT_FOUND"} for rpc in RPCS if "ErasureService" in rpc.path and rpc.name != "PlanErasure"}
# What erases comes last, when nothing is to be seen any more.
IN_ORDER = sorted(RPCS, key=lambda rpc: rpc.name == "DeleteMessage")


@dataclass
class World:
    """Two tenants with a message each, and keys of every kind."""

    caller: Caller
    messages: dict[str, str]
    keys: dict[tuple[str, int], str | None]
    """By kind, of keys and of tokens, and role. A token is revoked with the key that it is signed by."""
    key_id: str

    def values(self, tenant: str) -> dict[str, Any]:
        """Identifiers of a tenant's things; of a tenant that nobody has heard of, ones that do not exist."""
        return {
            "tenant_id": tenant,
            "tenant_ids": [tenant],
            "message_id": self.messages.get(tenant) or str(uuid4()),
            "key_id": self.key_id,
            "whole_tenant": True,
            "archived_since": "2026-01-01T00:00:00Z",
        }


@asynccontextmanager
async def world(start_rest: StartRest, rows: Rows) -> AsyncIterator[World]:
    with provider() as issuer:
        issuer.publish(jwk())
        settings = {"jwt_issuer": issuer.address, "jwt_audience": AUDIENCE}
        async with around(start_rest, rows, settings) as found:
            yield found


@asynccontextmanager
async def around(start_rest: StartRest, rows: Rows, settings: dict[str, str]) -> AsyncIterator[World]:
    async with (
        start_rest(api_keys=ROOT, **settings) as rest,
        grpc.aio.insecure_channel(f"127.0.0.1:{rest.server.settings.http_port}") as envoy,
        # httpx looks at each connection for each request, which with a hundred takes longer than the request.
        httpx.AsyncClient(
            base_url=rest.http.base_url, timeout=30, trust_env=False, limits=httpx.Limits(max_connections=CONNECTIONS)
        ) as http,
    ):
        server = rest.server
        root = [("x-api-key", ROOT)]
        messages = {}
        for tenant, content in CANARY.items():
            request = pb.IngestMessageRequest(
                tenant_id=tenant, conversation_id="c", role="user", content=content, importance_override=1
            )
            messages[tenant] = (await server.memory.IngestMessage(request, metadata=root)).id
        keys: dict[tuple[str, int], str | None] = {}
        for role in ROLES:
            for kind, tenants in {"own": [OWN], "other": [OTHER], "all": [], "revoked": [OWN], "expired": []}.items():
                made = await make(server, ROLES[role], *tenants)
                keys[kind, role] = made.key
                keys[TOKEN + kind, role] = signed(settings["jwt_issuer"], kind, ROLES[role], tenants)
                if kind == "revoked":
                    await server.key.RevokeApiKey(
                        key_service_pb2.RevokeApiKeyRequest(key_id=made.api_key.id), metadata=root
                    )
                elif kind == "expired":
                    rows("update api_keys set expires_at = now() where id = %s", made.api_key.id)
        spare = await make(server, "reader", "spare")
        server.application.operations.keyring.forget()
        yield World(Caller(server.channel, envoy, http), messages, keys, spare.api_key.id)


def signed(issuer: str, kind: str, role: str, tenants: list[str]) -> str:
    """A token that is to a provider what a key of this kind is to the service."""
    said: dict[str, Any] = {"iss": issuer, "memory_role": role, "memory_tenants": tenants or "*"}
    if kind == "expired":
        said["exp"] = 1
    return f"Bearer {token('RS256', int(kind == 'revoked'), **said)}"


async def make(server: RunningServer, role: str, *tenants: str) -> Any:
    request = key_service_pb2.CreateApiKeyRequest(
        label="matrix", role=role, tenant_ids=tenants, all_tenants=not tenants
    )
    return await server.key.CreateApiKey(request, metadata=[("x-api-key", ROOT)])


def callers(world: World, rpc: Rpc) -> dict[str, str | None]:
    """Every kind of key for an RPC. Where no role is too low, the wrong one is left out."""
    role = rpc.access.role or 1
    found: dict[str, str | None] = {}
    for way in ("", TOKEN):
        found |= {way + kind: world.keys[way + kind, role] for kind in KINDS}
        own, every = f"{way}own", f"{way}all"
        found |= {f"{way}own as {ROLES[higher]}": world.keys[own, higher] for higher in ROLES if higher > role}
        found |= {f"{way}wrong role {ROLES[lower]}": world.keys[own, lower] for lower in ROLES if lower < role}
        found |= {
            f"{way}wrong role {ROLES[lower]} for all": world.keys[every, lower] for lower in ROLES if lower < role
        }
    return found | {"documented": ROOT} | NO_KEY


def expected(rpc: Rpc, place: Place, kind: str, tenant: str) -> tuple[str, str]:
    """Code and reason that a key must get for a request about a tenant's things; a token gets the same."""
    kind = kind.removeprefix(TOKEN)
    if place.contradicts and "body" in place.name and kind in UNSENT:
        return "UNAUTHENTICATED", "INVALID_API_KEY"  # a body of nobody's is not read
    if place.contradicts:
        return "INVALID_ARGUMENT", "MALFORMED_REQUEST"
    if rpc.access.open:
        return "OK", ""
    if kind in NO_KEY or kind in ("revoked", "expired"):
        return "UNAUTHENTICATED", "INVALID_API_KEY"
    if kind.startswith("wrong role"):
        return "PERMISSION_DENIED", "KEY_NOT_ALLOWED"
    reach = rpc.access.reach
    everywhere = kind in ("all", "documented")
    if reach == access_pb2.REACH_ALL_TENANTS:
        return ("OK", "") if everywhere else ("PERMISSION_DENIED", "KEY_NOT_ALLOWED")
    reached = everywhere or tenant == (OTHER if kind == "other" else OWN)
    if reach == access_pb2.REACH_TENANTS_OF_KEY:
        return ("OK", "") if reached and tenant != NOBODY else ("NOT_FOUND", "NOT_FOUND")
    # A call that names no tenant is about all of them.
    reached = everywhere or (reached and not place.name.endswith(UNNAMED))
    return ("OK", "") if reached else ("PERMISSION_DENIED", "TENANT_NOT_ALLOWED")


def places(world: World, rpc: Rpc, tenant: str) -> list[Place]:
    """Everything that can be sent about one tenant's things; where it need not be named, also without its name."""
    values = world.values(tenant)
    found = [*world.caller.grpc_places(rpc, values), *world.caller.rest_places(rpc, values)]
    if rpc.may_omit_tenant:
        unnamed = {name: value for name, value in values.items() if name != "tenant_id"}
        found += [
            Place(f"{place.name}{UNNAMED}", place.send)
            for place in (*world.caller.grpc_places(rpc, unnamed), *world.caller.rest_places(rpc, unnamed))
        ]
    return found


def reaches(kind: str, tenant: str) -> bool:
    """Whether a key may see a tenant's content at all."""
    kind = kind.removeprefix(TOKEN)
    if kind in NO_KEY or kind in ("revoked", "expired"):
        return False
    return "all" in kind or kind == "documented" or tenant == (OTHER if kind == "other" else OWN)


def leaks(outcome: Outcome, kind: str) -> list[str]:
    """Content in an answer that this key may not see."""
    seen = [tenant for tenant, canary in CANARY.items() if canary in outcome.everything]
    return [tenant for tenant in seen if outcome.code != "OK" or not reaches(kind, tenant)]


@pytest.mark.asyncio
@pytest.mark.timeout(600)
async def test_12_the_matrix(start_rest: StartRest, rows: Rows) -> None:
    cells: Counter[str] = Counter()
    kinds: dict[str, set[str]] = defaultdict(set)
    ways: dict[str, set[str]] = defaultdict(set)
    wrong: list[str] = []
    texts: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    stored = Counter({OWN: 1, OTHER: 1})
    imported: set[str] = set()

    async def cell(rpc: Rpc, place: Place, kind: str, key: str | None, tenant: str) -> None:
        want = expected(rpc, place, kind, tenant)
        outcome = await place.send(key)
        cells[rpc.name] += 1
        kinds[rpc.name].add(kind)
        ways[rpc.name].add(place.name)
        where = f"{rpc.name}, {place.name}, key {kind}, {tenant}"
        is_allowed = want == ("OK", "") and outcome.code in ALLOWED.get(rpc.name, ())
        if (outcome.code, outcome.reason) != want and not is_allowed:
            wrong.append(f"{where}: {outcome.code} {outcome.reason} instead of {want}: {outcome.text}")
        if outcome.reason and not rpc.may_say(outcome.reason):
            wrong.append(f"{where}: {outcome.reason} is not among the reasons that the contract names")
        if found := leaks(outcome, kind):
            wrong.append(f"{where}: shows {found}: {outcome.everything}")
        if outcome.code != "OK" and not place.contradicts and not is_allowed:
            # All that is told, headers included: what stands behind a refusal must not show.
            by_rest = not place.name.startswith("grpc")
            texts[rpc.name if outcome.code == "NOT_FOUND" else "", outcome.code, outcome.reason].add(outcome.text)
            if by_rest and kind not in UNSENT:
                texts["whole", outcome.code, outcome.reason].add(outcome.everything)
        elif outcome.code == "OK" and "Ingest" in rpc.name:
            stored[tenant] += 1
        elif outcome.code == "OK" and rpc.name == "Import":
            imported.add(tenant)  # the same message each time
        elif outcome.code == "OK" and rpc.name == "DeleteMessage":
            stored[tenant] -= 1

    with item(12, "access matrix") as result:
        async with world(start_rest, rows) as here:
            for rpc in IN_ORDER:
                for kind, key in callers(here, rpc).items():
                    todo = [(place, tenant) for tenant in (OWN, OTHER, NOBODY) for place in places(here, rpc, tenant)]
                    for one, two in ((OWN, OTHER), (OTHER, OWN)):
                        others = here.values(two) | {"key_id": str(uuid4())}
                        todo += [(p, one) for p in here.caller.contradictions(rpc, here.values(one), others)]
                    await asyncio.gather(*(cell(rpc, place, kind, key, tenant) for place, tenant in todo))
            counts = dict(rows("select tenant_id, count(*) from messages group by tenant_id"))
        result.tried = cells.total()
        result.held = result.tried - len(wrong)
        result.note = f"{len(RPCS)} RPCs, {sum(map(len, ways.values()))} places"
        print(f"{cells.total()} cells: {dict(cells)}")
        assert not wrong, f"{len(wrong)} of {cells.total()}:\n" + "\n".join(wrong[:20])
        # The same words for each refusal, whatever is behind it.
        assert {key: found for key, found in texts.items() if len(found) > 1} == {}
        assert texts["GetMessage", "NOT_FOUND", "NOT_FOUND"] == {"Nothing is stored under that id."}
        assert counts == stored + Counter(imported), "what was refused was not done"
        # It covers what it says.
        assert cells.keys() == {rpc.name for rpc in RPCS}
        assert min(cells.values()) >= 50
        assert cells.total() >= 2000
        for rpc in RPCS:
            assert kinds[rpc.name] >= {*KINDS, *(TOKEN + kind for kind in KINDS), "documented", *NO_KEY}
            assert ways[rpc.name] >= {"grpc", "grpc through Envoy", "grpc-web"}
            assert any("wrong role" in kind for kind in kinds[rpc.name]) == (rpc.access.role > 1)
            for verb, path, body in rpc.bindings:
                assert any(name.startswith(verb) for name in ways[rpc.name])
                assert not (body and "{" in path) or any("path and body" in name for name in ways[rpc.name])
                assert "{" not in path or any("path and query" in name for name in ways[rpc.name])
                assert not body or f"{verb} body" in ways[rpc.name]


def test_12_every_rpc_declares_the_key_it_needs_and_names_its_tenants_or_says_why_not() -> None:
    for rpc in RPCS:
        if rpc.access.open:
            continue
        assert rpc.access.role in ROLES, rpc.name
        assert rpc.access.reach, rpc.name
        assert rpc.names_tenants or rpc.access.reach == access_pb2.REACH_ALL_TENANTS, rpc.name
    assert {rpc.name for rpc in RPCS if not rpc.names_tenants} == NO_TENANT.keys()
    assert {rpc.name for rpc in RPCS if rpc.access.open} == {"GetHealth"}
    admin = {rpc.name for rpc in RPCS if "MemoryService" not in rpc.path} - {"GetHealth"}
    assert {rpc.name for rpc in RPCS if rpc.access.role == access_pb2.ROLE_ADMIN} == admin


@pytest.mark.asyncio
async def test_12_parameters_that_may_repeat_do_and_the_others_do_not(start_rest: StartRest) -> None:
    async with start_rest() as rest:
        repeated = []
        for rpc in RPCS:
            for verb, path, body in rpc.bindings:
                if body:
                    continue
                for field in rpc.method.input_type.fields:
                    if field.is_repeated:
                        repeated.append(field.name)
                        query = "query=q&" if "query" in rpc.method.input_type.fields_by_name else ""
                        one, two = ("a=b", "c=d") if field.name == "metadata_equals" else (uuid4(), uuid4())
                        twice = f"{path}?tenant_id=a&{query}{field.name}={one}&{field.name}={two}"
                        assert (await rest.http.request(verb, twice)).status_code == 200, twice
        assert sorted(repeated) == ["exclude_message_ids", "metadata_equals", "metadata_equals"]
        for query in ("top_k=1&top_k=1", "top_k=1&topK=2", "query=x", "as_of=2026-01-01T00:00:00Z&asOf=x"):
            response = await rest.http.get(f"/v1/memory/search?tenant_id=a&query=q&{query}")
            assert response.status_code == 400, query
            assert "A parameter is given twice." in response.json()["message"]

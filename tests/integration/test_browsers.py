"""What browsers and odd HTTP clients send to Envoy: other origins, gRPC-Web, HEAD, offers to upgrade, HTTP/1.0."""

from __future__ import annotations

import base64

import httpx
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.edge import exchange, patch_envoy, status
from tests.chaos.harness import until
from tests.conftest import StartRest
from tests.grpc_web import framed, unframed

GOOD, EVIL = "https://app.example", "https://evil.example"
KEY = "the-key-of-this-browser"
WITH_KEY = {"x-api-key": KEY}
JSON = {"content-type": "application/json"}
ALLOWED = "access-control-allow-origin"
SEARCH = "/v1/memory/search?tenant_id=acme&query=hello"
RPC = "/memory_layer.v1.MemoryService/SearchMemories"


@pytest.mark.asyncio
async def test_a_page_that_may_call_may_read_every_answer(start_rest: StartRest) -> None:
    calls = [
        ("GET", SEARCH, WITH_KEY, 200),
        ("GET", SEARCH, {}, 401),
        ("GET", SEARCH, {"x-api-key": "nobodys-key-but-long-enough"}, 401),
        ("GET", "/v1/memory/search?tenant_id=acme", WITH_KEY, 400),
        ("GET", "/v1/memory/search?tenant_id=acme&tenant_id=b&query=q", WITH_KEY, 400),
        ("GET", "/v1/admin/tenants/a/policy?tenant_id=b", WITH_KEY, 400),
        ("GET", "/v1/messages/550e8400-e29b-41d4-a716-446655440000", WITH_KEY, 404),
        ("GET", "/v1/nothing", WITH_KEY, 404),
        ("GET", "/v2/nothing", {}, 404),
        ("GET", "/docs%2f", {}, 400),
        ("POST", "/metrics", {}, 405),
        ("POST", "/v1/messages", WITH_KEY, 415),
        ("POST", "/v1/messages", WITH_KEY | JSON, 400),
        ("POST", "/v1/messages", WITH_KEY | JSON | {"content-encoding": "gzip"}, 415),
        ("GET", "/metrics", {}, 200),
        ("GET", "/v1/admin/health", {}, 200),
    ]
    async with start_rest(allowed_origins=GOOD, api_keys=KEY) as rest:
        for method, path, headers, expected in calls:
            for origin, allowed in ((GOOD, GOOD), (EVIL, None)):
                answer = await rest.http.request(method, path, headers=headers | {"origin": origin})
                assert answer.status_code == expected, (path, answer.text)
                assert answer.headers.get_list(ALLOWED) == ([allowed] if allowed else []), (path, origin)
        flood = [
            await rest.http.post("/v1/messages", content=b"x" * 1_000_000, headers=JSON | WITH_KEY | {"origin": GOOD})
            for _ in range(40)
        ]
        late = [answer for answer in flood if answer.status_code == 429]
        assert late
        assert {answer.headers.get(ALLOWED) for answer in late} == {GOOD}
        assert late[0].json()["details"][0]["reason"] == "RATE_LIMITED"
        assert late[0].headers["retry-after"] == "10"


@pytest.mark.asyncio
async def test_a_page_may_read_what_envoy_answers_before_it_knows_the_origin(
    start_rest: StartRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path or headers that Envoy cannot take apart, and a memory that is full: fixed words, which anybody may read
    where some origins may, since nothing tells whose page has asked."""
    large, many = b"x: " + b"x" * 40_000, b"\r\n".join(b"a%d: 1" % number for number in range(120))
    calls = [
        (b"GET /v1/%00 HTTP/1.1", b"", 400),
        (b"GET /v1/messages HTTP/1.1", b"x_api_key: 1", 400),
        (b"GET /v1/messages HTTP/1.1", large, 431),
        (b"GET /v1/messages HTTP/1.1", many, 431),
        (b"GET /v1/" + b"x" * 40_000 + b" HTTP/1.1", b"", 431),
    ]

    async def answered(port: int, line: bytes, header: bytes) -> bytes:
        own = [b"host: localhost", b"origin: " + GOOD.encode(), header]
        return await exchange(port, b"\r\n".join([line, *filter(None, own), b"", b""]))

    for origins, allowed in (([GOOD, "https://other.example"], 1), ([], 0)):
        async with start_rest(allowed_origins=origins) as rest:
            for line, header, expected in calls:
                answer = await answered(rest.server.settings.http_port, line, header)
                assert status(answer) == expected, answer
                assert answer.count(b"access-control-allow-origin: *") == allowed, answer
                assert b"x_api_key" not in answer
            # Known origins are told apart, whoever answers.
            for origin in (EVIL, ""):
                refused = await rest.http.get("/v2/nothing", headers={"origin": origin} if origin else {})
                assert ALLOWED not in refused.headers
    patch_envoy(monkeypatch, {"max_heap_size_bytes: 536870912": "max_heap_size_bytes: 1048576"})
    async with start_rest(allowed_origins=GOOD) as rest:

        async def refused() -> httpx.Response | None:
            answer = await rest.http.get("/v1/admin/health", headers={"origin": GOOD})
            return answer if answer.status_code == 503 else None

        answer = await until(refused, 5, "Envoy looks at its heap")
        assert answer.headers[ALLOWED] == "*"


@pytest.mark.asyncio
async def test_a_browser_asks_before_a_call_without_a_key(start_rest: StartRest) -> None:
    """A preflight never has one; the call after it does."""
    calls = [
        ("POST", "/v1/messages"),
        ("GET", SEARCH),
        ("PATCH", "/v1/messages/550e8400-e29b-41d4-a716-446655440000"),
        ("DELETE", "/v1/messages/550e8400-e29b-41d4-a716-446655440000"),
        ("PUT", "/v1/admin/tenants/acme/policy"),
        ("GET", "/v1/memory/search?tenant_id=acme&tenant_id=b&query=q"),  # whose 400 it may then read
    ]
    async with start_rest(allowed_origins=GOOD, api_keys=KEY) as rest:
        for method, path in calls:
            asked = {
                "access-control-request-method": method,
                "access-control-request-headers": "content-type,x-api-key",
            }
            answer = await rest.http.options(path, headers=asked | {"origin": GOOD})
            assert (answer.status_code, answer.headers[ALLOWED]) == (200, GOOD), path
            assert method in answer.headers["access-control-allow-methods"]
            assert "x-api-key" in answer.headers["access-control-allow-headers"]
            assert ALLOWED not in (await rest.http.options(path, headers=asked | {"origin": EVIL})).headers
        assert (await rest.http.options("/v1/messages", headers={"origin": GOOD})).status_code == 401


@pytest.mark.asyncio
async def test_names_of_origins_are_never_code(start_rest: StartRest) -> None:
    async with start_rest(allowed_origins=['https://a"] = true}; error("x") --', GOOD, "https://ü.example"]) as rest:
        for origin, allowed in ((GOOD, GOOD), (EVIL, None)):
            answer = await rest.http.get("/v2/nothing", headers={"origin": origin})
            assert (answer.status_code, answer.headers.get(ALLOWED)) == (404, allowed)


@pytest.mark.asyncio
async def test_head_answers_as_get_does_without_the_body(start_rest: StartRest) -> None:
    async with start_rest(api_keys=KEY) as rest:
        for path in (SEARCH, "/v1/admin/health", "/v1/nothing", "/docs", "/metrics", "/v2/nothing"):
            get = await rest.http.get(path, headers=WITH_KEY)
            head = await rest.http.head(path, headers=WITH_KEY)
            assert (head.status_code, head.content) == (get.status_code, b""), path
            assert head.headers["content-type"] == get.headers["content-type"]
        # By hand: a body behind the headers would be taken for the next answer.
        call = b"HEAD /v1/admin/health HTTP/1.1\r\nhost: localhost\r\n\r\n"
        last = b"GET /v1/admin/health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        answer = await exchange(rest.server.settings.http_port, call, last, pause=0.3)
        first, _, rest_of_it = answer.partition(b"\r\n\r\n")
        assert first.startswith(b"HTTP/1.1 200")
        assert rest_of_it.startswith(b"HTTP/1.1 200")


@pytest.mark.asyncio
async def test_offers_are_passed_over_and_old_clients_are_served(start_rest: StartRest) -> None:
    async with start_rest() as rest:
        for offer in ("TLS/1.2", "TLS/1.3, h2c", "h2c", "websocket"):
            headers = {"connection": "upgrade", "upgrade": offer}
            assert (await rest.http.get("/v1/admin/health", headers=headers)).status_code == 200, offer
        answer = await exchange(rest.server.settings.http_port, b"GET /v1/admin/health HTTP/1.0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.0 200 ")


@pytest.mark.asyncio
async def test_grpc_web(start_rest: StartRest) -> None:
    request = framed(pb.SearchMemoriesRequest(tenant_id="acme", query="hello"))
    async with start_rest(allowed_origins=GOOD, api_keys=KEY) as rest:
        asked = {
            "origin": GOOD,
            "access-control-request-method": "POST",
            "access-control-request-headers": "x-grpc-web",
        }
        preflight = await rest.http.options(RPC, headers=asked)
        assert (preflight.status_code, preflight.headers[ALLOWED]) == (200, GOOD)
        assert "x-grpc-web" in preflight.headers["access-control-allow-headers"]
        assert ALLOWED not in (await rest.http.options(RPC, headers=asked | {"origin": EVIL})).headers

        for kind in ("application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text"):
            for key, code in ((KEY, "0"), (None, "16")):
                answer = await called(rest.http, kind, request, key)
                assert answer.headers[ALLOWED] == GOOD
                body = base64_parts(answer.content) if kind.endswith("text") else answer.content
                messages, trailers = unframed(body)
                # An answer that is an error alone has what would be its trailers among its headers.
                assert (trailers | dict(answer.headers))["grpc-status"] == code, (kind, key)
                if key:
                    assert pb.SearchMemoriesResponse.FromString(messages[0]).total == 0


async def called(http: httpx.AsyncClient, kind: str, request: bytes, key: str | None) -> httpx.Response:
    headers = {"content-type": kind, "accept": kind, "x-grpc-web": "1", "origin": GOOD} | (
        {"x-api-key": key} if key else {}
    )
    answer = await http.post(
        RPC, content=base64.b64encode(request) if kind.endswith("text") else request, headers=headers
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind.removesuffix("+proto"))
    return answer


def base64_parts(body: bytes) -> bytes:
    """Each frame is encoded for itself, and padded at its end."""
    parts = body.replace(b"=", b"= ").replace(b"= = ", b"== ").split()
    return b"".join(map(base64.b64decode, parts))

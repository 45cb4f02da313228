"""The real Envoy with the rendered envoy.yaml, in front of a stub of the service: what every client sees of it."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import grpc
import httpx
import pytest
import yaml
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from memory_grpc.errors import StartupError
from memory_grpc.local import envoy_config, envoy_tree
from memory_grpc.local.envoy import EnvoyProcess, binary
from memory_grpc.resources import ENVOY_YAML
from memory_grpc.settings import Settings
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import admin_service_pb2_grpc as admin_grpc
from memory_layer.v1 import memory_service_pb2 as memory
from memory_layer.v1 import memory_service_pb2_grpc as memory_grpc_stubs
from memory_layer.v1 import message_pb2, policy_pb2
from memory_layer.v1 import policy_service_pb2_grpc as policy_grpc
from tests.conftest import free_port

JSON = {"content-type": "application/json"}


def settings_for(**values: object) -> Settings:
    ports = {"http_port": free_port(), "grpc_port": free_port(), "metrics_port": free_port()}
    return Settings(_env_file=None, **{**ports, **values})


class Stub(memory_grpc_stubs.MemoryServiceServicer, admin_grpc.AdminServiceServicer, policy_grpc.PolicyServiceServicer):
    """Answers with what it got; `content` and `query` say how to misbehave."""

    def __init__(self) -> None:
        self.release = threading.Event()

    def IngestMessage(self, request, context):
        if request.content == "many words":
            context.set_trailing_metadata(tuple((f"x-word-{number}", "y" * 10_000) for number in range(7)))
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "many words")
        if request.content == "too large":
            context.set_trailing_metadata((("x-http-status", "413"), ("retry-after", "7")))
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too large")
        context.send_initial_metadata((("x-http-status", "202"),))
        return message_pb2.Message(id="1", tenant_id=request.tenant_id, content=str(len(request.content)))

    def SearchMemories(self, request, context):
        if request.query == "slow":
            self.release.wait(20)
        hit = memory.MemoryHit(content="x" * 20_000_000 if request.query == "large" else request.query)
        return memory.SearchMemoriesResponse(total=1, items=[hit])

    def GetTenantPolicy(self, request, context):
        return policy_pb2.TenantPolicy(tenant_id=request.tenant_id)

    def SetTenantPolicy(self, request, context):
        return policy_pb2.TenantPolicy(tenant_id=request.tenant_id)

    def GetHealth(self, request, context):
        """The metadata as JSON in `environment`, the seconds left in `latency_ms`."""
        seen = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        return admin.GetHealthResponse(environment=json.dumps(seen), latency_ms=context.time_remaining() or 0)


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.path.encode())

    def log_message(self, *arguments):
        pass


def serve(stub: Stub, port: int) -> grpc.Server:
    options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    memory_grpc_stubs.add_MemoryServiceServicer_to_server(stub, server)
    admin_grpc.add_AdminServiceServicer_to_server(stub, server)
    policy_grpc.add_PolicyServiceServicer_to_server(stub, server)
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    reflection.enable_server_reflection(["memory_layer.v1.MemoryService", reflection.SERVICE_NAME], server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    return server


@pytest.fixture(scope="module")
def settings() -> Settings:
    return settings_for(
        request_timeout_seconds=1.0,
        max_request_bytes=100_000,
        allowed_origins=["https://app.example", "https://other.example"],
    )


@pytest.fixture(scope="module")
def stub(settings: Settings) -> Iterator[Stub]:
    stub = Stub()
    server = serve(stub, settings.grpc_port)
    pages = ThreadingHTTPServer(("127.0.0.1", settings.metrics_port), Pages)
    thread = threading.Thread(target=pages.serve_forever)
    thread.start()
    yield stub
    stub.release.set()
    server.stop(0).wait()
    pages.shutdown()
    thread.join()
    pages.server_close()


@pytest.fixture(scope="module")
def envoy(settings: Settings, stub: Stub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnvoyProcess]:
    process = EnvoyProcess(settings, tmp_path_factory.mktemp("envoy"))
    process.start()
    process.wait_ready()
    yield process
    process.stop(0)


@pytest.fixture
def rest(settings: Settings, envoy: EnvoyProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{settings.http_port}", trust_env=False, timeout=15) as client:
        yield client


@pytest.fixture
def channel(settings: Settings, envoy: EnvoyProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{settings.http_port}") as channel:
        yield channel


def assert_error(response: httpx.Response, status: int, code: int, reason: str) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert sorted(body) == ["code", "details", "message"]
    assert body["code"] == code
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "domain": "memory_layer.v1", "metadata": {}}
    assert body["details"] == [{**detail, "reason": reason}]
    return body["message"]


def seen_by_server(response: httpx.Response) -> dict[str, str]:
    return json.loads(response.json()["environment"])


# -- Configuration


def test_the_file_in_the_repository_is_valid_as_it_stands():
    command = [binary(), "--mode", "validate", "--log-level", "warning", "-c", "envoy.yaml"]
    result = subprocess.run(command, cwd=ENVOY_YAML.parent, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr
    assert "[warning]" not in result.stderr  # nothing deprecated


def test_defaults_render_to_what_the_file_says():
    """So the values written in envoy.yaml are the documented defaults, and only the descriptor's place differs."""
    rendered = yaml.safe_load(envoy_config.render(Settings(_env_file=None), Path("gen/memory_layer.binpb")))
    written = yaml.safe_load(ENVOY_YAML.read_text())
    assert json.dumps(rendered).replace('"16.000s"', '"16s"') == json.dumps(written)


@pytest.mark.parametrize(
    "place", ["grpc-timeout", "max_request_bytes", "name: http_side", "proto_descriptor", "name: rpc"]
)
def test_a_place_that_is_gone_is_told(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    changed = tmp_path / "envoy.yaml"
    changed.write_text(ENVOY_YAML.read_text().replace(place, place + "_renamed"))
    monkeypatch.setattr(envoy_tree, "ENVOY_YAML", changed)
    with pytest.raises(StartupError, match=r"^envoy\.yaml has no .*: restore it\.$"):
        envoy_config.render(Settings(_env_file=None))


def test_a_chain_with_filters_of_its_own_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Settings would not reach it."""
    config = yaml.safe_load(ENVOY_YAML.read_text())
    chains = config["static_resources"]["listeners"][0]["filter_chains"]
    chains[-1]["filters"] = json.loads(json.dumps(chains[-1]["filters"]))
    changed = tmp_path / "envoy.yaml"
    changed.write_text(yaml.safe_dump(config))
    monkeypatch.setattr(envoy_tree, "ENVOY_YAML", changed)
    with pytest.raises(
        StartupError, match=r"^envoy\.yaml has no one list of filters for all chains, .*: restore it\.$"
    ):
        envoy_config.render(Settings(_env_file=None))


def test_idle_it_takes_what_the_file_says(envoy: EnvoyProcess):
    (said,) = re.findall(r"idle it takes (\d+) MiB", ENVOY_YAML.read_text())
    allocated = re.search(r"memory_allocated: (\d+)", envoy._admin("GET", "/stats?filter=^server.memory_allocated$"))
    assert int(said) == pytest.approx(int(allocated[1]) / 1024 / 1024, rel=0.25)


def test_rendered_without_a_path_needs_no_other_file(tmp_path: Path):
    config = tmp_path / "envoy.yaml"
    config.write_text(envoy_config.render(settings_for()))
    assert "admin" not in yaml.safe_load(config.read_text())
    command = [binary(), "--mode", "validate", "--log-level", "warning", "-c", config]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30)
    assert result.returncode == 0, result.stderr


def test_a_taken_port_is_told_in_a_sentence(settings: Settings, envoy: EnvoyProcess, tmp_path: Path):
    second = EnvoyProcess(settings, tmp_path)
    with pytest.raises(StartupError, match=rf"^Port {settings.http_port} .* already taken: .* MEMORY_HTTP_PORT "):
        second.start()


def test_the_admin_interface_is_the_owners_only(envoy: EnvoyProcess):
    (admin_socket,) = envoy.log.parent.glob("**/*.sock")
    assert admin_socket.stat().st_mode & 0o777 == 0o600
    assert admin_socket.parent.stat().st_mode & 0o777 == 0o700


# -- REST


def test_ingest_is_202_with_zeros_printed(rest: httpx.Client):
    response = rest.post("/v1/messages", json={"tenant_id": "acme", "content": "hello"})
    assert response.status_code == 202
    assert response.json()["importance_score"] == 0
    assert response.json()["content"] == "5"
    leaked = {"x-http-status", "server", "grpc-status", "grpc-message", "x-envoy-upstream-service-time"}
    assert not leaked & set(response.headers)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-store"


def test_the_server_chooses_413_and_retry_after(rest: httpx.Client):
    response = rest.post("/v1/messages", json={"content": "too large"})
    assert (response.status_code, response.headers["retry-after"]) == (413, "7")
    assert response.json() == {"code": 8, "message": "too large", "details": []}


def test_an_answer_of_many_words_is_its_callers_and_resets_no_other(settings: Settings, rest: httpx.Client, stub: Stub):
    """Trailers past what Envoy takes of a server would reset the connection that it shares, and every call on it."""
    with ThreadPoolExecutor(8) as threads:
        slow = {"tenant_id": "a", "query": "slow"}
        waiting = [threads.submit(rest.get, "/v1/memory/search", params=slow) for _ in range(4)]
        for _ in range(4):
            refused = rest.post("/v1/messages", json={"content": "many words"})
            assert (refused.status_code, refused.json()["message"]) == (400, "many words")
        stub.release.set()
        assert {call.result().status_code for call in waiting} == {200}
    stub.release.clear()


def test_unknown_path_and_method(rest: httpx.Client):
    for response in (rest.get("/nothing"), rest.get("/v1/nothing"), rest.delete("/v1/messages"), rest.get("/docsx")):
        assert_error(response, 404, 5, "NOT_FOUND")
    body = rest.post("/memory_layer.v1.MemoryService/IngestMessage", json={})
    assert_error(body, 404, 5, "NOT_FOUND")


@pytest.mark.parametrize("start", ["POST /nothing", "CONNECT elsewhere:443", "POST /metrics", "POST /v1/messages"])
def test_what_is_refused_is_refused_before_its_body(settings: Settings, envoy: EnvoyProcess, start: str):
    """The last one for its content type; none of them may hold a stream open by a body that never comes."""
    with socket.create_connection(("127.0.0.1", settings.http_port), timeout=5) as client:
        client.sendall(f"{start} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n".encode())
        assert int(client.recv(4096).split()[1]) in (400, 404, 405, 415)


@pytest.mark.parametrize(
    "body", ["{broken", '{"tenant_id": 1}', "[]", '{"content": "\\ud800"}', b'{"content": "\xff"}']
)
def test_malformed_json(rest: httpx.Client, body: str | bytes):
    response = rest.post("/v1/messages", content=body, headers=JSON)
    assert_error(response, 400, 3, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/memory/search?tenant_id=a&querry=x",
        "/v1/memory/search?tenant_id=a&top_k=many",
        "/v1/admin/tenants/a%2Fb/policy?tenant_id=b",
        "/v1/admin/tenants/a%2Fb/statistics?tenant_id=b",
        "/v1/admin/tenants/a/policy?tenant_id=b",
        "/v1/admin/tenants/a/policy?tenantId=b",
        "/v1/admin/tenants/a/policy?%74enant_id=b",
        "/v1/messages/a?message_id=b",
        "/v1/messages/a?tenant_id=x&messageId=b",
    ],
)
def test_unknown_contradicting_and_unreadable_parameters(rest: httpx.Client, path: str):
    assert_error(rest.get(path), 400, 3, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/messages/a%2Fb",
        "/v1/messages/a%2fb?tenant_id=c",
        "/v1/messages/a%5Cb",
        "/v1/messages/a%5cb",
        "/v1%2Fmessages/a",
        "/v1/admin/api-keys/a%2Fb:revoke",
        "/v1/admin/tenants%2Fa/policy",
        "/v1/admin/tenants/a%2Fb",
        "/v1/admin/tenants/a%2Fpolicy",
        "/v1/admin/tenants/a/b%2Fc/policy",
        "/v1/admin/tenants/a/policy%2F",
        "/v1/admin/tenants/a/policy/..%2Fpolicy",
        "/v1/admin/health%2F",
        "/%2Fv1/admin/tenants/a/policy",
        "/docs/..%2Fmetrics",
        "/docs%5Cswagger-ui.css",
        "/..%2F",
    ],
)
def test_an_escaped_slash_is_a_letter_of_a_tenant_s_id_and_nothing_else(rest: httpx.Client, path: str):
    for verb in ("GET", "PUT"):
        message = assert_error(rest.request(verb, path, headers=JSON), 400, 3, "MALFORMED_REQUEST")
        assert message == "The request cannot be read: A slash in the path is escaped."


@pytest.mark.parametrize(
    "tenant",
    ["acme/eu", "a\\b", "/", "\\", "//", "a//b", "../x", "..\\..", "a%2Fb", "%2F", "a/b?c=d&e#f", "/policy", "é/東京"],
)
def test_a_tenant_s_policy_is_reached_whatever_its_id_holds(rest: httpx.Client, tenant: str):
    path = f"/v1/admin/tenants/{quote(tenant, safe='')}/policy"
    assert rest.get(path).json()["tenant_id"] == tenant
    assert rest.put(path, json={"tenant_id": tenant}).json()["tenant_id"] == tenant
    assert rest.put(path, json={}).json()["tenant_id"] == tenant
    for verb in ("GET", "PUT"):
        response = rest.request(verb, f"{path}?tenant_id=other", headers=JSON, content="{}" if verb == "PUT" else None)
        assert_error(response, 400, 3, "MALFORMED_REQUEST")
    assert_error(rest.put(path, json={"tenant_id": "other"}), 400, 3, "MALFORMED_REQUEST")


def test_small_letters_escape_too_and_slashes_in_a_query_are_its_own(rest: httpx.Client):
    assert rest.get("/v1/admin/tenants/a%2fb%5cc/policy").json()["tenant_id"] == "a/b\\c"
    found = rest.get("/v1/memory/search", params={"tenant_id": "a/b", "query": "and/or \\"})
    assert found.json()["items"][0]["content"] == "and/or \\"


def test_a_body_that_contradicts_the_path(rest: httpx.Client):
    path = "/v1/admin/tenants/a/policy"
    assert_error(rest.put(path, json={"tenant_id": "b"}), 400, 3, "MALFORMED_REQUEST")
    assert rest.put(path, json={"tenant_id": "a"}).json()["tenant_id"] == "a"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"top_k": "pin 4711"}', "top_k: must be a whole number."),
        ('{"query": 4711}', "query: must be a text."),
        ('{"as_of": "pin 4711"}', "as_of: must be a time as 2026-01-31T12:00:00Z."),
        ('{"as_of": 4711}', "as_of: must be a time as 2026-01-31T12:00:00Z."),
        ('{"metadata": "pin 4711"}', "metadata: must be an object."),
        ('{"explain": 4711}', "explain: must be true or false."),
        ('{"importance_min": "pin 4711"}', "importance_min: must be a number."),
        ('{"query": {"pin 4711": 1}}', "query: must not be an object."),
        ('{"query": ["pin 4711"]}', "A list stands where there can be one value only."),
        ('{"metadata": {"pin 4711": 1, "pin 4711": 2}}', "A name stands twice in an object."),
        ('{"query": "a" "pin 4711"}', "Expected , or } after key:value pair."),
        ('{"query": "ü" "pin 4711"}', "Expected , or } after key:value pair."),
        (b'{"query": "caf\xe9 pin 4711"}', "Encountered non UTF-8 code points."),
        (b'{"query": "\xc3\xa9" \xff pin 4711}', "Encountered non UTF-8 code points."),
        ("[4711]", "The body must be a JSON object."),
    ],
)
def test_a_body_that_cannot_be_read_is_told_without_what_it_holds(rest: httpx.Client, body: str | bytes, told: str):
    raw = body if isinstance(body, bytes) else body.encode()
    message = assert_error(rest.post("/v1/memory/search", content=raw, headers=JSON), 400, 3, "MALFORMED_REQUEST")
    assert message == f"The request cannot be read: {told}"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("query=salt&pin=4711", "Parameter 2 of the query is not known."),
        ("pin.4711=1&query=q", "Parameter 1 of the query is not known."),
        ("query.pin=4711", "A parameter of the query is not known."),
        ("query=q&top_k=pin", "top_k: must be a whole number."),
        ("query=q&top_k=%ffpin", "top_k: must be a whole number."),
        ("query=q&query=pin", "A parameter is given twice."),
    ],
)
def test_a_query_that_cannot_be_read_is_told_without_what_it_holds(rest: httpx.Client, query: str, told: str):
    message = assert_error(rest.get(f"/v1/memory/search?{query}"), 400, 3, "MALFORMED_REQUEST")
    assert message == f"The request cannot be read: {told}"


def test_identifiers_and_queries_arrive_as_meant(rest: httpx.Client):
    assert rest.get("/v1/admin/tenants/a%3Ab%20%C3%A9%2B/policy").json()["tenant_id"] == "a:b é+"
    found = rest.get("/v1/memory/search", params={"tenant_id": "a", "query": "50% + a&b=c? 東京"})
    assert found.json()["items"][0]["content"] == "50% + a&b=c? 東京"


def test_bodies_must_be_json(rest: httpx.Client):
    """What a page of another origin can send without a preflight never gets in."""
    for headers in ({"content-type": "text/plain"}, {"content-type": "application/x-www-form-urlencoded"}, {}):
        response = rest.post("/v1/messages", content='{"tenant_id": "a"}', headers=headers)
        assert_error(response, 415, 3, "MALFORMED_REQUEST")
    accepted = {"content-type": "Application/JSON; charset=utf-8"}
    assert rest.post("/v1/messages", content="{}", headers=accepted).status_code == 202


def test_body_limit(rest: httpx.Client):
    assert rest.post("/v1/messages", json={"content": "x" * 99_000}).json()["content"] == "99000"
    assert_error(rest.post("/v1/messages", json={"content": "x" * 101_000}), 413, 8, "REQUEST_TOO_LARGE")
    unsized = rest.post("/v1/messages", content=(b" " * 10_000 for _ in range(30)), headers=JSON)
    assert_error(unsized, 413, 8, "REQUEST_TOO_LARGE")


def test_large_responses_pass(rest: httpx.Client):
    response = rest.get("/v1/memory/search", params={"tenant_id": "a", "query": "large"})
    assert len(response.json()["items"][0]["content"]) == 20_000_000


def test_headers_that_are_refused(rest: httpx.Client):
    assert_error(rest.get("/v1/admin/health", headers={"x-long": "x" * 40_000}), 431, 8, "REQUEST_TOO_LARGE")
    assert_error(rest.get("/v1/admin/health", headers={"x_api_key": "k"}), 400, 3, "MALFORMED_REQUEST")


def test_long_searches_by_get_do_not_count_against_the_servers_headers(rest: httpx.Client):
    response = rest.get("/v1/memory/search", params={"tenant_id": "a", "query": "x" * 20_000})
    assert response.status_code == 200


def test_no_answer_in_time_is_504(rest: httpx.Client, stub: Stub):
    began = time.monotonic()
    response = rest.get("/v1/memory/search", params={"tenant_id": "a", "query": "slow"})
    stub.release.set()
    stub.release.clear()
    assert response.status_code == 504
    assert response.json()["code"] == 4
    assert 0.9 < time.monotonic() - began < 10


def test_http_side(rest: httpx.Client):
    for path in ("/metrics", "/docs", "/docs/swagger-ui.css", "/openapi.json"):
        assert rest.get(path).text == path
    response = rest.post("/metrics")
    assert_error(response, 405, 3, "MALFORMED_REQUEST")
    assert response.headers["allow"] == "GET, HEAD"


# -- What reaches the server


def test_the_deadline_reaches_the_server(rest: httpx.Client, channel: grpc.Channel):
    assert 0.7 < rest.get("/v1/admin/health").json()["latency_ms"] < 1.1
    health_of = admin_grpc.AdminServiceStub(channel).GetHealth
    assert 0.7 < health_of(admin.GetHealthRequest()).latency_ms < 1.1
    assert 0.2 < health_of(admin.GetHealthRequest(), timeout=0.5).latency_ms < 0.6  # the client's own, when sooner


def test_who_calls_and_what_is_stripped(rest: httpx.Client):
    sent = {
        "x-forwarded-for": "203.0.113.9",
        "x-http-status": "500",
        "x-rest-call": "no",
        "x-envoy-original-path": "/elsewhere",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-request-id": "mine-1",
    }
    response = rest.get("/v1/admin/health", headers=sent)
    assert response.status_code == 200
    assert response.headers["x-request-id"] == "mine-1"
    seen = seen_by_server(response)
    assert seen["x-request-id"] == "mine-1"
    assert seen["x-rest-call"] == "1"
    forwarded = seen["x-forwarded-for"].split(",")
    assert forwarded[0] == "203.0.113.9"  # believed by nobody
    assert len(forwarded) == 2  # and what Envoy saw comes last
    assert not {name for name in seen if name.startswith("x-envoy-")} - {"x-envoy-external-address"}
    assert "x-http-status" not in seen


def test_a_request_id_is_made_and_shown(rest: httpx.Client):
    response = rest.get("/v1/admin/health")
    assert len(response.headers["x-request-id"]) == 36
    assert seen_by_server(response)["x-request-id"] == response.headers["x-request-id"]


# -- CORS


def preflight(rest: httpx.Client, origin: str) -> httpx.Response:
    headers = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    return rest.options("/v1/messages", headers=headers)


def test_allowed_origins(rest: httpx.Client):
    for origin in ("https://app.example", "https://other.example"):
        response = preflight(rest, origin)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == origin
        assert "x-api-key" in response.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in response.headers
        for answer in (
            rest.get("/v1/admin/health", headers={"origin": origin}),
            rest.get("/nothing", headers={"origin": origin}),
        ):
            assert answer.headers.get("access-control-allow-origin", origin) == origin
        assert rest.get("/v1/nothing", headers={"origin": origin}).headers["access-control-allow-origin"] == origin


def test_other_origins(rest: httpx.Client):
    for origin in ("https://evil.example", "https://app.example.evil.example", "http://app.example", "null"):
        assert "access-control-allow-origin" not in preflight(rest, origin).headers
        answer = rest.get("/v1/admin/health", headers={"origin": origin})
        assert "access-control-allow-origin" not in answer.headers


# -- gRPC on the same port


def test_grpc_passes_through_with_its_own_errors(channel: grpc.Channel):
    stub = memory_grpc_stubs.MemoryServiceStub(channel)
    request = memory.IngestMessageRequest(content="x" * 500_000)  # over the REST limit: the server's to refuse
    message, call = stub.IngestMessage.with_call(request)
    assert message.content == "500000"
    assert "x-http-status" not in {key for key, _ in call.initial_metadata()}
    with pytest.raises(grpc.RpcError) as refused:
        stub.IngestMessage(memory.IngestMessageRequest(content="too large"))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert refused.value.details() == "too large"
    assert ("retry-after", "7") in refused.value.trailing_metadata()


def test_envoys_own_errors_are_grpc_errors(channel: grpc.Channel):
    for method in ("/no.such.Service/Method", "/v1/messages"):
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary(method)(b"")
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert "{" not in refused.value.details()


def test_health_and_reflection_pass_through(channel: grpc.Channel):
    checked = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert checked.status == health_pb2.HealthCheckResponse.SERVING
    requests = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    (listed,) = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(requests)
    assert "memory_layer.v1.MemoryService" in {service.name for service in listed.list_services_response.service}


# -- Without a server, and back


def test_no_server_is_503_at_once_and_its_return_is_seen(tmp_path: Path):
    settings = settings_for(allowed_origins=["*"])
    envoy = EnvoyProcess(settings, tmp_path)
    envoy.start()
    try:
        envoy.wait_ready()
        with httpx.Client(base_url=f"http://127.0.0.1:{settings.http_port}", trust_env=False) as rest:
            began = time.monotonic()
            response = rest.get("/v1/admin/health", headers={"origin": "https://any.example"})
            assert time.monotonic() - began < 1
            assert assert_error(response, 503, 14, "NOT_SERVING") == "The service cannot be reached; try again."
            assert response.headers["retry-after"] == "1"
            assert response.headers["access-control-allow-origin"] == "https://any.example"  # `*`
            with grpc.insecure_channel(f"127.0.0.1:{settings.http_port}") as channel:
                with pytest.raises(grpc.RpcError) as refused:
                    admin_grpc.AdminServiceStub(channel).GetHealth(admin.GetHealthRequest())
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
                assert "{" not in refused.value.details()
            for _ in range(2):  # a first start and a restart
                server = serve(Stub(), settings.grpc_port)
                began = time.monotonic()
                while rest.get("/v1/admin/health").status_code != 200:
                    assert time.monotonic() - began < 1
                server.stop(0).wait()
                assert rest.get("/v1/admin/health").status_code == 503
    finally:
        envoy.stop(0)


def test_a_server_that_hangs_is_504(tmp_path: Path):
    """One that takes connections and says nothing: the deadline it got is of no use, Envoy's own timeout ends it."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = settings_for(grpc_port=silent.getsockname()[1], request_timeout_seconds=0.2)
        # `up` with a database of the user's own: nothing has made the data directory.
        envoy = EnvoyProcess(settings, tmp_path / "data" / "envoy")
        envoy.start()
        try:
            envoy.wait_ready()
            url = f"http://127.0.0.1:{settings.http_port}/v1/admin/health"
            assert_error(httpx.get(url, timeout=10, trust_env=False), 504, 4, "DEADLINE_EXCEEDED")
        finally:
            envoy.stop(0)


def test_stop_lets_calls_in_flight_finish(tmp_path: Path):
    settings = settings_for()
    stub = Stub()
    server = serve(stub, settings.grpc_port)
    envoy = EnvoyProcess(settings, tmp_path)
    envoy.start()
    try:
        envoy.wait_ready()
        url = f"http://127.0.0.1:{settings.http_port}/v1/memory/search?tenant_id=a&query=slow"
        with ThreadPoolExecutor(2) as pool:
            call = pool.submit(httpx.get, url, timeout=20, trust_env=False)
            while not envoy._active_calls():
                assert not call.done()
            stop = pool.submit(envoy.stop, 10.0)
            while not refuses(settings.http_port):  # no new connections …
                assert not stop.done()
            stub.release.set()
            assert call.result().status_code == 200  # … and the old one is answered
            stop.result()
    finally:
        envoy.stop(0)
        server.stop(0).wait()


def refuses(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0

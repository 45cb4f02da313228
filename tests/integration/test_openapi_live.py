"""openapi.yaml against what a real Envoy answers: every response that a path gives has the schema that it promises."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
import yaml
from openapi_schema_validator import OAS30ReadValidator, oas30_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from memory_grpc.resources import OPENAPI_YAML
from tests.conftest import RunningRest

DOCUMENT: dict[str, Any] = yaml.safe_load(OPENAPI_YAML.read_text(encoding="utf-8"))
REGISTRY: Registry[Any] = Registry().with_resource("urn:openapi", DRAFT202012.create_resource(DOCUMENT))

MESSAGE = {
    "tenant_id": "acme",
    "conversation_id": "conv-1",
    "role": "user",
    "content": "I love Python",
    "name": "Caroline",
    "metadata": {"source": "web"},
    "request_id": "7b0b6f0e-6c8e-4c62-9a53-0d4cb0b1a4f1",
}

MOVED = {
    "id": "550e8400-e29b-41d4-a716-446655440000",
    "conversation_id": "conv-1",
    "role": "user",
    "content": "I love Python",
    "importance": 0.5,
    "created_at": "2026-11-14T20:30:00Z",
}

# By this everything would be archived.
TRIED = {"importance_threshold": 1}


def check(path: str, method: str, status: int, body: Any) -> None:
    """Holds a response to the document; a status that the document does not name is a fault too."""
    operation = DOCUMENT["paths"][path][method.lower()]
    assert str(status) in operation["responses"], f"{method} {path} answers {status}, which the document does not name"
    response = operation["responses"][str(status)]
    if "$ref" in response:
        response = DOCUMENT["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = absolute(response["content"]["application/json"]["schema"])
    validator = OAS30ReadValidator(schema, registry=REGISTRY, format_checker=oas30_format_checker)
    errors = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(body)]
    assert not errors, f"{method} {path} {status}: {errors}"


def absolute(schema: Any) -> Any:
    """Points references within the document at the document."""
    if isinstance(schema, dict):
        return {
            key: f"urn:openapi{value}" if key == "$ref" and value.startswith("#") else absolute(value)
            for key, value in schema.items()
        }
    return [absolute(item) for item in schema] if isinstance(schema, list) else schema


@pytest.mark.asyncio
async def test_live_answers_have_the_documented_schemas(rest: RunningRest) -> None:
    search, policy = "/v1/memory/search", "/v1/admin/tenants/{tenant_id}/policy"
    keys = "/v1/admin/api-keys"
    reembedding = "/v1/admin/reembedding"
    erasure, no_erasure = "/v1/admin/erasure", {"tenant_id": "acme", "erasure_id": str(uuid4())}
    calls: list[tuple[str, str, int, dict[str, Any], dict[str, str]]] = [
        ("/v1/messages", "POST", 202, {"json": MESSAGE}, {}),
        ("/v1/messages", "POST", 400, {"json": MESSAGE | {"role": "robot"}}, {}),
        ("/v1/messages", "POST", 409, {"json": MESSAGE | {"content": "another"}}, {}),
        ("/v1/messages", "POST", 415, {"content": b"x", "headers": {"content-type": "text/plain"}}, {}),
        ("/v1/messages", "POST", 413, {"json": MESSAGE | {"content": "x" * 5_000_000}}, {}),
        ("/v1/messages:batch", "POST", 202, {"json": {"messages": [MESSAGE]}}, {}),
        ("/v1/messages/{message_id}", "GET", 404, {}, {"message_id": str(uuid4())}),
        ("/v1/messages/{message_id}", "GET", 400, {}, {"message_id": "no-uuid"}),
        ("/v1/messages/{message_id}", "PATCH", 404, {"json": {"tenant_id": "acme"}}, {"message_id": str(uuid4())}),
        (
            "/v1/messages/{message_id}/revisions",
            "GET",
            404,
            {"params": {"tenant_id": "acme"}},
            {"message_id": str(uuid4())},
        ),
        ("/v1/messages", "GET", 200, {"params": {"tenant_id": "acme", "include_total": True}}, {}),
        ("/v1/messages", "GET", 400, {"params": {"tenant_id": "acme", "order_by": "name"}}, {}),
        ("/v1/admin/tenants/{tenant_id}/statistics", "GET", 200, {}, {"tenant_id": "acme"}),
        ("/v1/conversations", "GET", 200, {"params": {"tenant_id": "acme"}}, {}),
        ("/v1/users", "GET", 200, {"params": {"tenant_id": "acme"}}, {}),
        (search, "GET", 200, {"params": {"tenant_id": "acme", "query": "Python", "explain": True}}, {}),
        (search, "GET", 400, {"params": {"tenant_id": "acme", "query": "Python", "top_k": "x"}}, {}),
        (search, "GET", 431, {"params": {"tenant_id": "acme", "query": "x" * 40_000}}, {}),
        (search, "POST", 200, {"json": {"tenant_id": "acme", "query": "Python", "neighbours": 2}}, {}),
        (search, "POST", 200, {"json": {"tenant_id": "nobody", "query": "Python", "ranking": "hybrid"}}, {}),
        ("/v1/memory/context", "POST", 200, {"json": {"tenant_id": "acme", "query": "Python"}}, {}),
        ("/v1/admin/audit", "GET", 200, {}, {}),
        ("/v1/admin/retention/run", "POST", 200, {"json": {"tenant_id": "acme", "actions": ["archive"]}}, {}),
        ("/v1/admin/retention/run", "POST", 400, {"json": {"tenant_id": "acme", "actions": ["burn"]}}, {}),
        ("/v1/admin/retention/simulate", "POST", 200, {"json": {"tenant_id": "acme", "retention": TRIED}}, {}),
        ("/v1/admin/retention/simulate", "POST", 400, {"json": {"tenant_id": "acme", "sample_size": 11}}, {}),
        ("/v1/admin/retention/restore", "POST", 200, {"json": {"tenant_id": "acme", "user_id": "u"}}, {}),
        ("/v1/admin/retention/restore", "POST", 400, {"json": {"tenant_id": "acme"}}, {}),
        ("/v1/admin/embeddings/retry", "POST", 200, {"json": {"tenant_id": "acme"}}, {}),
        ("/v1/admin/graphs", "GET", 200, {"params": {"tenant_id": "acme"}}, {}),
        ("/v1/admin/health", "GET", 200, {}, {}),
        ("/v1/admin/export", "GET", 200, {"params": {"tenant_id": "nobody"}}, {}),  # its header is one line
        ("/v1/admin/export", "GET", 400, {"params": {"tenant_id": "acme", "filter": "role ="}}, {}),
        ("/v1/admin/import", "POST", 200, {"json": {"tenant_id": "moved", "messages": [MOVED]}}, {}),
        ("/v1/admin/import", "POST", 400, {"json": {"tenant_id": "moved", "messages": [MOVED, MOVED]}}, {}),
        (f"{erasure}/plan", "POST", 200, {"json": {"tenant_id": "acme", "user_id": "nobody"}}, {}),
        (f"{erasure}/plan", "POST", 400, {"json": {"tenant_id": "acme"}}, {}),
        (f"{erasure}/apply", "POST", 404, {"json": no_erasure}, {}),
        (erasure, "GET", 404, {"params": no_erasure}, {}),
        (f"{erasure}/receipt", "GET", 404, {"params": no_erasure}, {}),
        (f"{erasure}/verify", "POST", 404, {"json": no_erasure}, {}),
        (f"{reembedding}/start", "POST", 200, {"json": {"tenant_id": "nobody", "model": "current"}}, {}),
        (f"{reembedding}/start", "POST", 400, {"json": {"model": "next"}}, {}),
        (reembedding, "GET", 200, {}, {}),
        (reembedding, "GET", 404, {"params": {"reembedding_id": 9}}, {}),
        (f"{reembedding}/compare", "POST", 404, {"json": {"reembedding_id": 9}}, {}),
        (f"{reembedding}/cut-over", "POST", 404, {"json": {"reembedding_id": 9}}, {}),
        (f"{reembedding}/cancel", "POST", 200, {"json": {"reembedding_id": 1}}, {}),
        (f"{reembedding}/compare", "POST", 400, {"json": {"reembedding_id": 1}}, {}),
        (f"{reembedding}/cut-over", "POST", 400, {"json": {"reembedding_id": 1}}, {}),
        (policy, "PUT", 200, {"json": {"retention": {"max_age_days": 7}}}, {"tenant_id": "acme"}),
        (policy, "GET", 200, {}, {"tenant_id": "acme"}),
        (keys, "GET", 200, {}, {}),
        (keys, "POST", 400, {"json": {"label": "bot", "role": "reader", "all_tenants": True}}, {}),
        (f"{keys}/{{key_id}}:revoke", "POST", 404, {"json": {}}, {"key_id": str(uuid4())}),
    ]
    for path, method, status, content, variables in calls:
        response = await rest.http.request(method, path.format(**variables), **content)
        assert response.status_code == status, (path, method, response.text)
        check(path, method, status, response.json())
    stored = (await rest.http.post("/v1/messages", json=MESSAGE)).json()
    fetched = await rest.http.get(f"/v1/messages/{stored['id']}")
    check("/v1/messages/{message_id}", "GET", 200, fetched.json())
    for etag, status in ((stored["etag"], 200), (stored["etag"], 409)):
        body = {"tenant_id": "acme", "content": f"answered with {status}", "etag": etag}
        updated = await rest.http.patch(f"/v1/messages/{stored['id']}", json=body)
        assert updated.status_code == status
        check("/v1/messages/{message_id}", "PATCH", status, updated.json())
    revisions = await rest.http.get(f"/v1/messages/{stored['id']}/revisions?tenant_id=acme")
    check("/v1/messages/{message_id}/revisions", "GET", 200, revisions.json())
    # From here on every call needs a key.
    created = await rest.http.post(keys, json={"label": "root", "role": "admin", "all_tenants": True})
    made = created.json()
    check(keys, "POST", created.status_code, made)
    rest.http.headers["x-api-key"] = made["key"]
    listed = await rest.http.get(keys)
    check(keys, "GET", 200, listed.json())
    revoked = await rest.http.post(f"{keys}/{made['api_key']['id']}:revoke", json={})
    check(f"{keys}/{{key_id}}:revoke", "POST", 200, revoked.json())
    refused = await rest.http.get(keys)
    check(keys, "GET", refused.status_code, refused.json())
    assert (created.status_code, revoked.status_code, refused.status_code) == (200, 200, 401)
    called = {(path, method.lower()) for path, method, *_ in calls}
    documented = {
        (path, method)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch") and operation["tags"] != ["HTTP"]
    }
    assert called == documented, "a path of the document is not tried here"


def test_the_check_can_fail() -> None:
    with pytest.raises(AssertionError, match="total"):
        check("/v1/memory/search", "GET", 200, {"total": "one", "items": []})
    with pytest.raises(AssertionError, match="does not name"):
        check("/v1/memory/search", "GET", 418, {})

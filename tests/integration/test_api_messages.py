"""The documented REST paths, through a real Envoy: shapes to the letter."""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from tests.conftest import RunningRest, StartRest

MESSAGE = {"tenant_id": "test", "conversation_id": "conv-1", "role": "user", "content": "Hello"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.mark.asyncio
async def test_create_message(rest: RunningRest) -> None:
    response = await rest.http.post("/v1/messages", json=MESSAGE | {"metadata": {"source": "web", "n": 1}})
    assert response.status_code == 202
    body = response.json()
    assert list(body) == [
        "id",
        "tenant_id",
        "conversation_id",
        "role",
        "content",
        "metadata",
        "importance_score",
        "embedding_status",
        "created_at",
        "updated_at",
        "etag",  # besides the documented ones
    ]
    assert {key: body[key] for key in MESSAGE} == MESSAGE
    assert body["metadata"] == {"source": "web", "n": 1}
    assert body["embedding_status"] == "completed"
    assert body["importance_score"] == pytest.approx(0.54)
    assert TIME.fullmatch(body["created_at"])
    assert TIME.fullmatch(body["updated_at"])
    UUID(body["id"])

    fetched = await rest.http.get(f"/v1/messages/{body['id']}")
    assert (fetched.status_code, fetched.json()) == (200, body)


@pytest.mark.asyncio
async def test_a_message_without_metadata_shows_an_empty_object(rest: RunningRest) -> None:
    assert (await rest.http.post("/v1/messages", json=MESSAGE)).json()["metadata"] == {}


@pytest.mark.asyncio
async def test_metadata_is_the_same_text_whatever_the_order_it_came_in(rest: RunningRest) -> None:
    names = [f"key {number}" for number in range(60)]
    texts = set()
    for ordered in (names, names[::-1], names[30:] + names[:30]):
        metadata = {name: dict.fromkeys(ordered, 1) if name == "key 7" else name for name in ordered}
        sent = await rest.http.post("/v1/messages", json=MESSAGE | {"metadata": metadata})
        fetched = await rest.http.get(f"/v1/messages/{sent.json()['id']}")
        texts |= {re.sub(r'.*"metadata":(.*),"importance_score".*', r"\1", one.text) for one in (sent, fetched)}
    assert len(texts) == 1


@pytest.mark.asyncio
async def test_search_by_get_and_by_post(rest: RunningRest) -> None:
    created = (await rest.http.post("/v1/messages", json=MESSAGE | {"metadata": {"source": "web"}})).json()
    wanted = {"tenant_id": "test", "query": "Hello", "top_k": 5, "as_of": created["created_at"]}
    by_get = await rest.http.get("/v1/memory/search", params=wanted)
    by_post = await rest.http.post("/v1/memory/search", json=wanted)
    assert by_get.status_code == by_post.status_code == 200
    assert by_get.content == by_post.content
    body = by_get.json()
    assert list(body) == ["total", "items", "pending", "relevance"]
    assert body["total"] == 1
    (hit,) = body["items"]
    documented = [
        "message_id",
        "score",
        "similarity",
        "decay",
        "content",
        "role",
        "metadata",
        "created_at",
        "importance",
    ]
    assert list(hit)[: len(documented)] == documented
    assert (hit["message_id"], hit["content"], hit["role"]) == (created["id"], "Hello", "user")
    assert hit["similarity"] == pytest.approx(1, abs=1e-3)
    assert hit["decay"] == 1
    parts = 0.6 * hit["similarity"] + 0.3 * hit["importance"] + 0.1 * hit["decay"]
    assert hit["score"] == pytest.approx(parts, abs=1e-6)

    by_metadata = {"tenant_id": "test", "query": "Hello"}
    for value, total in (("web", 1), ("app", 0)):
        got = await rest.http.get("/v1/memory/search", params=by_metadata | {"metadata_equals": f"source={value}"})
        posted = await rest.http.post("/v1/memory/search", json=by_metadata | {"metadata": {"source": value}})
        assert got.json()["total"] == posted.json()["total"] == total


@pytest.mark.asyncio
async def test_a_search_that_finds_nothing_prints_zero_and_an_empty_list(rest: RunningRest) -> None:
    response = await rest.http.get("/v1/memory/search", params={"tenant_id": "nobody", "query": "x"})
    assert (response.status_code, response.text) == (200, '{"total":0,"items":[],"pending":0}')


@pytest.mark.asyncio
async def test_batch(rest: RunningRest) -> None:
    response = await rest.http.post("/v1/messages:batch", json={"messages": [MESSAGE] * 3})
    assert response.status_code == 202
    assert [message["content"] for message in response.json()["messages"]] == ["Hello"] * 3


@pytest.mark.asyncio
async def test_retention(rest: RunningRest) -> None:
    request = {"tenant_id": "test", "actions": ["archive", "delete"]}
    response = await rest.http.post("/v1/admin/retention/run", json=request)
    assert (response.status_code, response.text) == (200, '{"archived":0,"deleted":0,"dry_run":false}')
    dry = await rest.http.post("/v1/admin/retention/run", json=request | {"dry_run": True})
    assert dry.json() == {"archived": 0, "deleted": 0, "dry_run": True}


@pytest.mark.asyncio
async def test_health(rest: RunningRest) -> None:
    response = await rest.http.get("/v1/admin/health")
    assert response.status_code == 200
    body = response.json()
    assert list(body)[:7] == [
        "status",
        "database",
        "timestamp",
        "latency_ms",
        "uptime_seconds",
        "environment",
        "version",
    ]
    assert (body["status"], body["database"], body["environment"]) == ("ok", "ok", "local")
    assert 0 < body["latency_ms"] < 2000
    assert isinstance(body["uptime_seconds"], int)
    assert body["retention"]["last_status"] == "never"


@pytest.mark.asyncio
async def test_tenant_policy(rest: RunningRest) -> None:
    path = "/v1/admin/tenants/acme/policy"
    default = (await rest.http.get(path)).json()
    assert default == {
        "tenant_id": "acme",
        "retention": {"max_age_days": 30, "importance_threshold": 0.35, "delete_after_days": 90},
        "importance_weights": {"recency": 0.4, "role": 0.2, "explicit": 0.4},
        "score_weights": {"similarity": 0.6, "importance": 0.3, "decay": 0.1},
        "overrides": [],
        "hybrid_weights": {
            "recipe": "surroundings",
            "lexical": 0.034,
            "near": 0.382,
            "conversation": 0.0,
            "after": 0.142,
            "coverage": 0.182,
            "date": 0.746,
            "speaker": 0.299,
            "asks_when": 0.216,
            "first_person": 0.095,
            "question": -0.048,
            "assistant": 0.0,
            "previous": 0.5,
            "names_to_i": True,
            "rerank": 1.0,
        },
        "quota": {"max_messages": "0", "max_bytes": "0"},
        "ranking": "semantic",
        "time_zone": "UTC",
    }
    changed = await rest.http.put(path, json={"retention": {"max_age_days": 7}, "score_weights": {"decay": 0}})
    assert changed.status_code == 200
    body = changed.json()
    assert body["overrides"] == ["retention.max_age_days", "score_weights.decay"]
    assert (body["retention"]["max_age_days"], body["score_weights"]["decay"]) == (7, 0)
    assert (await rest.http.get(path)).json() == body
    assert (await rest.http.put(path, json={})).json() == default
    mixed = await rest.http.put(f"{path}?tenant_id=other", json={"tenant_id": "third"})
    assert mixed.status_code == 400


@pytest.mark.asyncio
async def test_a_tenant_whose_id_holds_slashes_has_a_policy_like_any_other(rest: RunningRest) -> None:
    for tenant in ("acme/eu", "a\\b", "a%2Fb"):
        stored = await rest.http.post("/v1/messages", json=MESSAGE | {"tenant_id": tenant})
        assert stored.json()["tenant_id"] == tenant
        path = f"/v1/admin/tenants/{quote(tenant, safe='')}/policy"
        assert (await rest.http.put(path, json={"ranking": "hybrid"})).json()["overrides"] == ["ranking"]
        assert (await rest.http.get(path)).json()["tenant_id"] == tenant
        assert (await rest.http.get(path)).json()["ranking"] == "hybrid"
    for tenant in (".", ".."):
        refused = await rest.http.post("/v1/messages", json=MESSAGE | {"tenant_id": tenant})
        assert refused.status_code == 400
        said = "tenant_id: must not be . or .., which clients and proxies remove from paths"
        assert refused.json()["message"] == said


@pytest.mark.asyncio
async def test_weights_that_would_all_be_zero_are_refused_and_leave_the_policy_as_it_was(start_rest: StartRest) -> None:
    """The deployment's own zeros count: only one weight of the score, and one of importance, is left to the tenant."""
    zeros = {"score_importance_weight": 0, "score_decay_weight": 0, "importance_role_weight": 0}
    async with start_rest(**zeros, importance_explicit_weight=0) as rest:
        path = "/v1/admin/tenants/acme/policy"
        before = (await rest.http.put(path, json={"score_weights": {"similarity": 0.5}})).json()
        for body, field in (
            ({"score_weights": {"similarity": 0}}, "score_weights"),
            ({"score_weights": {"similarity": 0, "importance": 0, "decay": 0}}, "score_weights"),
            ({"importance_weights": {"recency": 0}, "ranking": "hybrid"}, "importance_weights"),
        ):
            refused = await rest.http.put(path, json=body)
            assert refused.status_code == 400
            assert refused.json()["message"].startswith(f"{field}: must not all be 0")
            assert (await rest.http.get(path)).json() == before
        kept = {"score_weights": {"similarity": 0, "decay": 0.1}, "importance_weights": {"recency": 0, "role": 1}}
        assert (await rest.http.put(path, json=kept)).status_code == 200
        # Without words, conversations, dates and speakers the hybrid ranking still has similarity.
        hybrid = {"lexical": 0, "conversation": 0, "date": 0, "speaker": 0, "previous": 0}
        assert (await rest.http.put(path, json={"hybrid_weights": hybrid})).status_code == 200


@pytest.mark.asyncio
async def test_metrics_docs_and_openapi_are_open(rest: RunningRest) -> None:
    await rest.http.post("/v1/messages", json=MESSAGE)
    metrics = await rest.http.get("/metrics")
    assert metrics.status_code == 200
    for name in (
        "grpc_server_handled_total",
        "grpc_server_handling_seconds_bucket",
        "memory_messages_ingested_total",
        "memory_searches_total",
        "memory_graphs",
        "memory_embedding_batch_size_bucket",
        "memory_database_pool_size",
        "memory_retention_messages_total",
        "memory_embedding_jobs_waiting",
    ):
        assert f"\n{name}" in metrics.text, name
    docs = await rest.http.get("/docs", follow_redirects=True)
    assert (docs.status_code, docs.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert "/v1/messages" in (await rest.http.get("/openapi.json")).json()["paths"]


BAD: list[tuple[dict[str, Any], str]] = [
    ({"tenant_id": ""}, "tenant_id"),
    ({"tenant_id": "  "}, "tenant_id"),
    ({"tenant_id": "x" * 65}, "tenant_id"),
    ({"conversation_id": "x" * 129}, "conversation_id"),
    ({"role": "robot"}, "role"),
    ({"content": ""}, "content"),
    ({"content": " \n\t "}, "content"),
    ({"content": "x" * 100_001}, "content"),
    ({"content": "a\x00b"}, "content"),
    ({"importance_override": 1.5}, "importance_override"),
    ({"importance_override": "NaN"}, "importance_override"),
    ({"importance_override": "Infinity"}, "importance_override"),
    ({"metadata": {"key": "x" * 20_000}}, "metadata"),
    ({"metadata": {"a\x00": 1}}, "metadata"),
    ({"created_at": "2999-01-01T00:00:00Z"}, "created_at"),
    ({"created_at": "1901-01-01T00:00:00Z"}, "created_at"),
    ({"request_id": "not-a-uuid"}, "request_id"),
    ({"name": " "}, "name"),
]


@pytest.mark.asyncio
async def test_every_invalid_field_is_400_with_its_name(rest: RunningRest) -> None:
    for change, field in BAD:
        response = await rest.http.post("/v1/messages", json=MESSAGE | change)
        body = response.json()
        assert response.status_code == 400, change
        assert list(body) == ["code", "message", "details"]
        assert body["code"] == 3
        assert body["message"].startswith(f"{field}: "), body["message"]
        violations = next(d["field_violations"] for d in body["details"] if "field_violations" in d)
        assert [violation["field"] for violation in violations] == [field]
    for params, field in (
        ({"top_k": -1}, "top_k"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 1001}, "top_k"),
        ({"candidate_limit": 0}, "candidate_limit"),
        ({"importance_min": "NaN"}, "importance_min"),
        ({"importance_min": -0.1}, "importance_min"),
        ({"query": " "}, "query"),
        ({"role": "robot"}, "role"),
        ({"metadata_equals": "no equals sign"}, "metadata_equals[0]"),
        ({"as_of": "0001-01-01T00:00:00Z"}, "as_of"),
    ):
        response = await rest.http.get("/v1/memory/search", params={"tenant_id": "t", "query": "q"} | params)
        assert response.status_code == 400, params
        assert response.json()["message"].startswith(f"{field}: "), response.text


@pytest.mark.asyncio
async def test_a_batch_of_nothing_but_invalid_messages_is_400_like_one_of_them(rest: RunningRest) -> None:
    broken = MESSAGE | {"role": "robot", "content": " ", "metadata": {"a-key-of-some-length": [2**60] * 30}}
    for count in (1, 7, 1000):
        response = await rest.http.post("/v1/messages:batch", json={"messages": [broken] * count})
        assert response.status_code == 400, response.text
        violations = response.json()["details"][1]["field_violations"]
        assert len(violations) == 20
        assert violations[2]["field"] == "messages[0].metadata.*[0]"


@pytest.mark.asyncio
async def test_a_number_that_json_would_change_is_refused_with_its_place(rest: RunningRest) -> None:
    said = "is beyond 2^53, where JSON numbers are no longer exact: send it as text"
    search = {"tenant_id": "test", "query": "Hello"}
    for metadata, place in (
        ({"user": 1546130668394913822}, "metadata.*"),
        ({"ids": [1, 2, 3, 2**53 + 1]}, "metadata.*[3]"),
        ({"a": {"b": [{"c": -(2**63)}]}}, "metadata.*.*[0].*"),
        ({"far": 1e300}, "metadata.*"),
    ):
        for path, body in (("/v1/messages", MESSAGE), ("/v1/memory/search", search)):
            response = await rest.http.post(path, json=body | {"metadata": metadata})
            assert response.status_code == 400
            assert response.json()["message"] == f"{place}: {said}"
    kept = {"user": "1546130668394913822", "most": 2**53 - 1, "least": 1 - 2**53, "part": 0.1}
    stored = await rest.http.post("/v1/messages", json=MESSAGE | {"metadata": kept})
    assert stored.json()["metadata"] == kept


@pytest.mark.asyncio
async def test_values_of_the_wrong_type_are_400_in_the_same_shape(rest: RunningRest) -> None:
    for content in (
        '{"tenant_id": {}}',
        '{"importance_override": "lots"}',
        '{"metadata": []}',
        '{"created_at": "yesterday"}',
        "{",
        '{"tenant_id": "\\ud800"}',
    ):
        response = await rest.http.post("/v1/messages", content=content, headers={"content-type": "application/json"})
        assert response.status_code == 400, content
        assert set(response.json()) == {"code", "message", "details"}
    response = await rest.http.get("/v1/memory/search", params={"tenant_id": "t", "query": "q", "top_k": "many"})
    assert response.status_code == 400
    assert "top_k" in response.json()["message"]


@pytest.mark.asyncio
async def test_not_found_conflict_and_too_large(rest: RunningRest) -> None:
    missing = await rest.http.get(f"/v1/messages/{uuid4()}")
    assert (missing.status_code, missing.json()["code"]) == (404, 5)
    assert missing.json()["details"][0]["reason"] == "NOT_FOUND"
    assert (await rest.http.get("/v1/messages/not-a-uuid")).status_code == 400

    request_id = str(uuid4())
    await rest.http.post("/v1/messages", json=MESSAGE | {"request_id": request_id})
    conflict = await rest.http.post("/v1/messages", json=MESSAGE | {"request_id": request_id, "content": "other"})
    assert (conflict.status_code, conflict.json()["code"]) == (409, 6)

    large = await rest.http.post("/v1/messages", json=MESSAGE | {"content": "x" * (5 * 1024 * 1024)})
    assert large.status_code == 413
    assert set(large.json()) == {"code", "message", "details"}


@pytest.mark.asyncio
async def test_clients_that_speak_http_1_0_are_served(rest: RunningRest) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", rest.server.settings.http_port)
    writer.write(b"GET /v1/admin/health HTTP/1.0\r\nHost: localhost\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert b" 200 OK\r\n" in answer
    assert b'"status":"ok"' in answer

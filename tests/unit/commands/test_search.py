"""What ``memory-grpc search`` asks and prints, and what ``policy`` keeps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from memory_grpc.commands import policy, search
from memory_grpc.commands.configuration import Target
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2
from memory_layer.v1.message_pb2 import Message

TARGET = Target("nowhere:1", 1.0)


class Service:
    """Answers from a table by method, and keeps what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.asked: dict[str, Any] = {}
        self._answers = answers

    def memory(self, method: str, request: Any) -> Any:
        self.asked[method] = request
        return self._answers[method]

    admin = policy = memory


def serve(monkeypatch: pytest.MonkeyPatch, module: Any, **answers: Any) -> Service:
    service = Service(**answers)

    @contextmanager
    def client(_: Target) -> Iterator[Service]:
        yield service

    monkeypatch.setattr(module, "client", client)
    return service


def test_unset_options_are_left_to_the_service() -> None:
    assert search.Query("q", "t").request() == pb.SearchMemoriesRequest(tenant_id="t", query="q")


def test_every_option_is_asked_for() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    request = search.Query(
        text="q",
        tenant_id="t",
        user_id="u",
        conversation_id="c",
        role="user",
        created_after=moment,
        created_before=moment,
        metadata_equals=("a=b", "c=d=e"),
        filter="pinned = true",
        importance_min=0.0,
        include_archived=True,
        candidate_limit=9,
        as_of=moment,
        time_zone="Europe/Berlin",
        language="de",
        ranking="hybrid",
        top_k=3,
        neighbours=2,
        min_score=0.0,
        min_relevance=0.45,
        distinct=True,
        exclude_message_ids=("00000000-0000-4000-8000-000000000000",),
        exclude_query_text=True,
        explain=True,
    ).request()
    unset = {field.name for field in request.DESCRIPTOR.fields} - {field.name for field, _ in request.ListFields()}
    assert unset == {"metadata"}
    assert list(request.metadata_equals) == ["a=b", "c=d=e"]
    assert request.created_after.ToDatetime(tzinfo=UTC) == moment


def test_a_hybrid_search_is_explained(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    hit = pb.MemoryHit(score=0.7, content="apples", role="user", conversation_id="c")
    hit.explanation.terms.add(name="lexical", weight=0.12345678, value=2.5)
    hit.explanation.terms.add(name="date", weight=0.3, value=1.0)
    hit.neighbours.before.append(Message(role="assistant", content="which\nfruit?"))
    hit.neighbours.after.append(Message(role="user", name="Ann", content="and pears"))
    found = pb.SearchMemoriesResponse(total=1, items=[hit])
    found.explanation.ranking, found.explanation.candidates, found.explanation.model = "hybrid", 4200, "m"
    found.explanation.weights.add(name="lexical", weight=0.25)
    found.explanation.as_of.FromJsonString("2026-01-01T00:00:00.123456Z")
    tenant = policy_pb2.TenantPolicy(ranking="hybrid")
    serve(monkeypatch, search, SearchMemories=found, GetTenantPolicy=tenant)
    assert search.search(search.Query("q", "t", explain=True), TARGET, as_json=False) == 0
    said = capsys.readouterr().out
    assert "score = lexical 0.1235·2.5000 + date 0.3·1.0000" in said
    assert said.index("  assistant: which fruit?") < said.index("apples") < said.index("  Ann: and pears")
    assert "·relevance" in said
    assert "hybrid ranking of 4,200 candidates, the pool of a graph scored; weights: lexical 0.25; model m" in said
    assert "as of 2026-01-01T00:00:00.123456Z" in said


def test_a_changed_policy_keeps_the_ranking_and_the_hybrid_weights(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = policy_pb2.TenantPolicy(tenant_id="t", ranking="hybrid", overrides=["ranking", "hybrid_weights.date"])
    before.hybrid_weights.date, before.hybrid_weights.lexical = 2.0, 0.25
    service = serve(monkeypatch, policy, GetTenantPolicy=before, SetTenantPolicy=before)
    policy.change("t", {"hybrid_weights.speaker": 1.0}, TARGET, reset=False, as_json=False)
    asked = policy_service_pb2.SetTenantPolicyRequest(tenant_id="t", ranking="hybrid")
    asked.hybrid_weights.date, asked.hybrid_weights.speaker = 2.0, 1.0
    assert service.asked["SetTenantPolicy"] == asked
    said = capsys.readouterr().out
    assert said.count("(the tenant's own)") == 2
    assert "hybrid (the tenant's own)" in said
    policy.change("t", {"ranking": "semantic"}, TARGET, reset=True, as_json=True)
    assert service.asked["SetTenantPolicy"] == policy_service_pb2.SetTenantPolicyRequest(
        tenant_id="t", ranking="semantic"
    )

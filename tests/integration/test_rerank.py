"""Searches and contexts with a reranker: its term, its deadline, and what holds without it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from structlog.testing import capture_logs

from memory_layer.v1 import context_pb2, policy_pb2, policy_service_pb2, revision_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import until
from tests.conftest import RunningServer, StartServer
from tests.integration.test_search import NOW, fill, message, query, random_messages
from tests.rerank_server import KEY, Server, reranking

pytestmark = pytest.mark.asyncio

QUESTION = "what does the piano need"
# Nothing but the reranker knows that this answers: no word of it is a word of the hashing model's question.
ANSWER = "a tuner"
THINGS = ("dusting", "moving", "polish", "room", "light")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with reranking("cohere") as server:
        monkeypatch.setattr("tests.rerank_server.overlap", lambda _, text: float(ANSWER in text))
        yield server


def settings(service: Server, **changes: Any) -> dict[str, Any]:
    given = {
        "rerank_provider": "cohere",
        "rerank_model": "rerank-v3.5",
        "rerank_timeout_ms": 10_000,
        "hybrid_rerank_weight": 3,
    }
    return given | {"rerank_url": service.url, "rerank_api_key": SecretStr(KEY)} | changes


async def find(server: RunningServer, **fields: Any) -> pb.SearchMemoriesResponse:
    asked = query(QUESTION, **{"ranking": "hybrid", "explain": True, "top_k": 5} | fields)
    found: pb.SearchMemoriesResponse = await server.memory.SearchMemories(asked)
    return found


def order(found: pb.SearchMemoriesResponse) -> list[str]:
    return [hit.message_id for hit in found.items]


def outcomes(outcome: str) -> float:
    return REGISTRY.get_sample_value("memory_reranks_total", {"outcome": outcome}) or 0.0


async def remember(server: RunningServer) -> list[str]:
    """Thirty-one messages, of which one answers, and five sound like the question."""
    old = message(ANSWER, NOW - timedelta(days=29), name="Anna", conversation_id="old", importance_override=1)
    alike = [message(f"the piano does need {thing}", NOW, conversation_id=thing) for thing in THINGS]
    return await fill(server, [old, *alike, *random_messages(25)])


async def test_a_reranker_is_one_more_term_of_the_sum(start_server: StartServer, service: Server) -> None:
    async with start_server() as plain:
        answer, *_ = await remember(plain)
        without = await find(plain)
        assert answer not in order(without)
        assert not without.HasField("reranked")
    async with start_server(**settings(service)) as server:
        before = outcomes("reranked")
        found = await find(server, top_k=31)
        assert found.reranked
        assert order(found)[0] == answer
        assert outcomes("reranked") == before + 1
        for hit in found.items:
            assert sum(term.weight * term.value for term in hit.explanation.terms) == pytest.approx(hit.score, abs=1e-6)
            assert [term.name for term in hit.explanation.terms].count("rerank") == 1
        assert {w.name: w.weight for w in found.explanation.weights}["relevance.rerank"] == 3
        # The name is of what is read, and nothing of anybody else's.
        (body,) = service.requests
        assert body["query"] == QUESTION
        assert f"Anna: {ANSWER}" in body["documents"]
        assert len(body["documents"]) == 31
        assert found.SerializeToString() == (await find(server, top_k=31)).SerializeToString()

        # The best of it, and no worse than was asked for.
        few = await find(server, top_k=3)
        assert order(few) == order(found)[:3]
        least = found.items[0].score
        assert order(await find(server, min_score=least)) == [answer]

        context = await server.memory.BuildContext(
            context_pb2.BuildContextRequest(tenant_id="acme", query=QUESTION, ranking="hybrid", max_tokens=16)
        )
        assert context.reranked
        assert [part.message.id for part in context.messages] == [answer]

        # A tenant that does not want it sends nothing; neither does the semantic ranking.
        asked = len(service.requests)
        assert not (await find(server, ranking="semantic")).HasField("reranked")
        off = policy_service_pb2.SetTenantPolicyRequest(
            tenant_id="acme", hybrid_weights=policy_pb2.HybridWeights(rerank=0)
        )
        assert (await server.policy.SetTenantPolicy(off)).hybrid_weights.rerank == 0
        found = await find(server)
        assert (found.HasField("reranked"), order(found)) == (False, order(without))
        assert len(service.requests) == asked


async def deleted(server: RunningServer, id_: str) -> None:
    await server.memory.DeleteMessage(pb.DeleteMessageRequest(tenant_id="acme", message_id=id_))


async def pinned(server: RunningServer, id_: str) -> None:
    request = revision_pb2.UpdateMessageRequest(tenant_id="acme", message_id=id_, pinned=True)
    await server.memory.UpdateMessage(request)


@pytest.mark.parametrize("change", [deleted, pinned])
async def test_what_no_longer_passes_once_it_is_reranked_was_not_too_long(
    start_server: StartServer, service: Server, change: Callable[[RunningServer, str], Awaitable[None]]
) -> None:
    async with start_server(**settings(service)) as server:
        answer, *_ = await remember(server)
        service.hold = threading.Event()
        request = context_pb2.BuildContextRequest(
            tenant_id="acme", query=QUESTION, ranking="hybrid", max_tokens=1000, filter="pinned = false"
        )
        building = asyncio.ensure_future(server.memory.BuildContext(request))
        await until(lambda: service.requests, 20, "it is being read")
        await change(server, answer)
        service.hold.set()
        context = await building
    assert context.reranked
    assert context.left_out.too_long == 0
    assert answer not in {part.message.id for part in context.messages}


async def test_a_reranker_that_fails_or_is_late_is_done_without(start_server: StartServer, service: Server) -> None:
    async with start_server() as plain:
        await remember(plain)
        without = await find(plain)
    async with start_server(**settings(service)) as server:
        failed = outcomes("failed")
        service.replies = [(500, {"message": f"cannot read {ANSWER}"})]
        with capture_logs() as logs:
            found = await find(server)
        assert (found.HasField("reranked"), found.reranked, order(found)) == (True, False, order(without))
        assert outcomes("failed") == failed + 1
    service.hold = threading.Event()
    async with start_server(**settings(service, rerank_timeout_ms=20)) as server:
        late = outcomes("late")
        with capture_logs() as again:
            found = await find(server)
        logs += again
        assert (found.reranked, order(found)) == (False, order(without))
        assert outcomes("late") == late + 1
    assert [line["outcome"] for line in logs if line["event"] == "not_reranked"] == ["failed", "late"]
    for secret in (ANSWER, QUESTION, KEY):
        assert secret not in str(logs)


async def test_an_empty_memory_has_nothing_to_read(start_server: StartServer, service: Server) -> None:
    async with start_server(**settings(service)) as server:
        found = await find(server)
        assert (found.total, found.reranked, service.requests) == (0, True, [])

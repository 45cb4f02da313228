"""Whose days the dates of a question are: the request says so, in a search and in a context."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio

from memory_layer.v1 import context_pb2, policy_service_pb2
from tests.conftest import RunningRest, RunningServer, StartRest, StartServer
from tests.integration.test_search import fill, message, query

pytestmark = pytest.mark.asyncio

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
# Late on the 3rd in Berlin and in UTC, and the 4th in Tokyo.
SAID = datetime(2026, 11, 3, 20, tzinfo=UTC)
TOO_LATE = datetime(2026, 11, 9, 20, tzinfo=UTC)


@pytest_asyncio.fixture
async def rest(start_rest: StartRest) -> AsyncIterator[RunningRest]:
    async with start_rest() as started:
        yield started


@pytest_asyncio.fixture
async def server(start_server: StartServer) -> AsyncIterator[RunningServer]:
    """With the recipe whose date term is 1 or 0."""
    async with start_server(hybrid_recipe="conversation") as started:
        yield started


def date_term(hit: Any) -> float:
    return float({term.name: term.value for term in hit.explanation.terms}["date"])


async def searched(server: RunningServer, text: str, **fields: Any) -> list[float]:
    """The date terms, of the oldest message first."""
    found = await server.memory.SearchMemories(query(text, NOW, ranking="hybrid", explain=True, **fields))
    return [date_term(hit) for hit in sorted(found.items, key=lambda hit: hit.created_at.ToDatetime())]


async def test_a_day_is_that_of_the_zone(server: RunningServer) -> None:
    await fill(server, [message("I like bread", SAID), message("I like bread", TOO_LATE)])
    asked = "What was said of bread from 4 to 5 November?"
    # What is said a day later counts too.
    early, late = "What was said on 5 November?", "What was said on 2 November?"
    assert await searched(server, asked) == await searched(server, asked, time_zone="Europe/Berlin") == [0, 0]
    assert await searched(server, asked, time_zone="Asia/Tokyo") == [1, 0]
    assert await searched(server, early, time_zone="Asia/Tokyo") == [0, 0]
    assert await searched(server, late) == [1, 0]
    assert await searched(server, late, time_zone="Asia/Tokyo") == [0, 0]


async def test_sides_that_are_open_are_open(server: RunningServer) -> None:
    await fill(server, [message("I like bread", SAID), message("I like bread", TOO_LATE)])
    assert await searched(server, "What was said before 5 November?") == [1, 0]
    assert await searched(server, "What was said since 8 November?") == [0, 1]


async def test_a_context_is_built_by_the_days_of_the_zone(server: RunningServer) -> None:
    await fill(server, [message("I like bread", SAID), message("I liked bread a lot", TOO_LATE)])

    scores = {}
    for zone in ("UTC", "Asia/Tokyo"):
        request = context_pb2.BuildContextRequest(
            tenant_id="acme", query="Bread on 4 November?", ranking="hybrid", time_zone=zone
        )
        request.as_of.FromDatetime(NOW)
        found = await server.memory.BuildContext(request)
        scores[zone] = {part.message.content: part.score for part in found.messages}
    apart = {zone: by_text["I like bread"] - by_text["I liked bread a lot"] for zone, by_text in scores.items()}
    assert apart["Asia/Tokyo"] > apart["UTC"] + 0.05


async def test_the_zone_comes_from_the_request_then_the_policy_then_the_deployment(start_server: StartServer) -> None:
    asked = "What was said on 4 November?"
    async with start_server(time_zone="Asia/Tokyo", hybrid_recipe="conversation") as server:
        await fill(server, [message("I like bread", SAID)])
        assert await searched(server, asked) == [1]
        assert await searched(server, asked, time_zone="UTC") == [0]
        policy = policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme", time_zone="Europe/Berlin")
        set_ = await server.policy.SetTenantPolicy(policy)
        assert (set_.time_zone, list(set_.overrides)) == ("Europe/Berlin", ["time_zone"])
        assert await searched(server, asked) == [0]
        assert await searched(server, asked, time_zone="Asia/Tokyo") == [1]
        unset = await server.policy.SetTenantPolicy(policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme"))
        assert (unset.time_zone, list(unset.overrides)) == ("Asia/Tokyo", [])
        assert await searched(server, asked) == [1]


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "CEST+1", "../etc/passwd", "localtime", "europe/berlin", " "])
async def test_an_unknown_zone_is_refused_by_name(rest: RunningRest, zone: str) -> None:
    asked = {"tenant_id": "acme", "query": "bread", "time_zone": zone}
    for answer in (
        await rest.http.get("/v1/memory/search", params=asked),
        await rest.http.post("/v1/memory/search", json=asked),
        await rest.http.post("/v1/memory/context", json=asked),
        await rest.http.put("/v1/admin/tenants/acme/policy", json={"time_zone": zone}),
    ):
        assert answer.status_code == 400
        assert "time_zone" in answer.text
        assert zone.strip() == "" or zone not in answer.text


async def test_a_known_zone_is_taken_over_rest(rest: RunningRest) -> None:
    asked = {"tenant_id": "acme", "query": "bread yesterday", "time_zone": "America/Argentina/Buenos_Aires"}
    for answer in (
        await rest.http.get("/v1/memory/search", params=asked),
        await rest.http.post("/v1/memory/search", json=asked),
        await rest.http.post("/v1/memory/context", json=asked),
    ):
        assert answer.status_code == 200

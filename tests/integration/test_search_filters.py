"""A filter in a search: the same hits as plain Python finds, by every door, in small tenants and in large ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from google.protobuf.json_format import MessageToDict
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from memory_grpc.filtering import Node
from memory_layer.v1 import index_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningRest, StartRest
from tests.filters.crowded import crowded
from tests.filters.searched import Asked, Stored, asked, store

pytestmark = pytest.mark.asyncio

NOW = datetime(2026, 11, 15, tzinfo=UTC)
RANKINGS = ("semantic", "hybrid")
QUERIES = (
    "bread in March",
    "where is the kitten",
    "zugzwang?",
    "!",
    "What did the assistant say about Vienna on 14 November 2026?",
    "What did X say to Web in November 2026?",
)
THRESHOLD = 400
SECRET = "zqxjkvb"


@pytest_asyncio.fixture
async def rest(start_rest: StartRest) -> AsyncIterator[RunningRest]:
    """A server that gives a graph to a tenant from a few hundred messages on."""
    async with start_rest(graph_threshold=THRESHOLD, graph_check_seconds=0.2) as started:
        yield started


async def small(rest: RunningRest, seed: int) -> Stored:
    return await store(rest.server.database, f"small-{seed}", Random(seed), 90)


async def large(rest: RunningRest, seed: int) -> Stored:
    """A tenant with a graph and counted words."""
    stored = await store(rest.server.database, f"large-{seed}", Random(seed), 2000)
    request = index_service_pb2.ListGraphsRequest(tenant_id=stored.tenant)
    async with asyncio.timeout(60):
        while [g.state for g in (await rest.server.index.ListGraphs(request)).graphs] != ["ready"]:
            await asyncio.sleep(0.1)
        for ranking in RANKINGS:
            probe = pb.SearchMemoriesRequest(tenant_id=stored.tenant, query="bread", explain=True, ranking=ranking)
            while (await rest.server.memory.SearchMemories(probe)).explanation.exact:
                await asyncio.sleep(0.1)  # until the words are counted
    return stored


def filters(seed: int) -> list[Node]:
    return crowded(Random(seed))[1]


async def hits(rest: RunningRest, request: pb.SearchMemoriesRequest) -> pb.SearchMemoriesResponse:
    found: pb.SearchMemoriesResponse = await rest.server.memory.SearchMemories(request)
    assert found.total == len(found.items)
    scores = [hit.score for hit in found.items]
    assert scores == sorted(scores, reverse=True)
    return found


def as_json(request: pb.SearchMemoriesRequest) -> dict[str, Any]:
    return dict(MessageToDict(request, preserving_proto_field_name=True))


async def check(rest: RunningRest, stored: Stored, one: Asked, ranking: str, draw: Random) -> int:
    """Asks by gRPC for everything and for a few; returns how many pass."""
    wanted = stored.ranked(one)
    query = draw.choice(QUERIES)
    everything = await hits(rest, one.request(stored.tenant, query=query, ranking=ranking, top_k=1000))
    found = [hit.message_id for hit in everything.items]
    assert len(found) == len(set(found)) == min(1000, len(wanted)), one.fields
    assert set(found) <= wanted, one.fields
    not_embedded = {id_ for id_ in stored.looked_at(one) if stored.messages[id_]["embedding_status"] != "completed"}
    assert everything.pending == len(not_embedded), one.fields

    top_k = draw.choice([1, 2, 5, 10, 40, 250])
    few = await hits(rest, one.request(stored.tenant, query=query, ranking=ranking, top_k=top_k))
    assert {hit.message_id for hit in few.items} <= wanted
    assert few.total == min(top_k, len(wanted)), one.fields
    return len(wanted)


@pytest.mark.parametrize("ranking", RANKINGS)
@pytest.mark.parametrize("seed", range(3))
async def test_a_small_tenant_s_hits_are_what_plain_python_finds(rest: RunningRest, seed: int, ranking: str) -> None:
    stored, draw, nodes = await small(rest, seed), Random(seed), filters(seed)
    some = [await check(rest, stored, asked(draw, nodes, flat=n % 2 == 1), ranking, draw) for n in range(60)]
    assert len([count for count in some if count]) > 15, "most filters met nothing"


@pytest.mark.parametrize("ranking", RANKINGS)
async def test_a_large_tenant_s_hits_are_what_plain_python_finds(rest: RunningRest, ranking: str) -> None:
    stored, draw, nodes = await large(rest, 7), Random(7), filters(7)
    some = [await check(rest, stored, asked(draw, nodes, flat=n % 2 == 1), ranking, draw) for n in range(80)]
    assert len([count for count in some if count]) > 25, "most filters met nothing"


async def test_the_three_doors_say_the_same(rest: RunningRest) -> None:
    """gRPC, REST by GET, and REST by POST; filters of every spelling, percent signs, quotes and line ends in them."""
    stored, draw, nodes = await small(rest, 11), Random(11), filters(11)
    by_get = found_some = 0
    for number in range(50):
        one = asked(draw, nodes, flat=number % 2 == 1)
        request = one.request(stored.tenant, query=draw.choice(QUERIES), ranking=draw.choice(RANKINGS), top_k=20)
        if one.as_of is None:
            request.as_of.FromDatetime(NOW)
        found = await hits(rest, request)
        found_some += found.total > 0
        answers = [await rest.http.post("/v1/memory/search", json=as_json(request))]
        if "metadata" not in one.fields:  # an object, which a query string cannot carry
            flat = {key: str(value) if value is not True else "true" for key, value in as_json(request).items()}
            flat |= {"metadata_equals": list(request.metadata_equals)} if request.metadata_equals else {}
            answers.append(await rest.http.get("/v1/memory/search", params=flat))
            by_get += 1
        assert {answer.status_code for answer in answers} == {200}, one.fields
        assert len({answer.content for answer in answers}) == 1, one.fields
        body = answers[0].json()
        assert (body["total"], body["pending"]) == (found.total, found.pending)
        assert [(hit["message_id"], hit["score"]) for hit in body["items"]] == [
            (hit.message_id, hit.score) for hit in found.items
        ]
    assert by_get > 25
    assert found_some > 10


async def test_a_filter_that_speaks_of_the_archive_looks_into_it(rest: RunningRest) -> None:
    stored = await small(rest, 5)
    counts = {}
    for text in ("archived = true", "archived:true", "archived = false", "archived:*", "NOT archived:*", "pinned:*"):
        request = pb.SearchMemoriesRequest(tenant_id=stored.tenant, query="bread", top_k=1000, filter=text)
        found = (await hits(rest, request)).items
        counts[text] = (sum(hit.HasField("archived_at") for hit in found), len(found))
    (archived, _), (_, live) = counts["archived = true"], counts["archived = false"]
    assert archived and live
    assert counts == {
        "archived = true": (archived, archived),
        "archived:true": (archived, archived),
        "archived = false": (0, live),
        "archived:*": (archived, archived + live),
        "NOT archived:*": (0, 0),
        "pinned:*": (0, live),
    }


async def test_a_blank_filter_lets_everything_pass(rest: RunningRest) -> None:
    stored = await small(rest, 3)
    live = [m for m in stored.messages.values() if m["archived_at"] is None and m["embedding_status"] == "completed"]
    for text in ("", " ", "\n\t "):
        request = pb.SearchMemoriesRequest(tenant_id=stored.tenant, query="bread", top_k=1000, filter=text)
        assert (await hits(rest, request)).total == len(live)


async def test_one_key_twice_in_metadata_equals_is_either(rest: RunningRest) -> None:
    """Of one key any value, of several keys all; together with a filter that must hold too."""
    memory = rest.server.memory
    for n, (colour, size) in enumerate([("red", 1), ("red", 2), ("green", 1), ("blue", 2), ("blue", 3), (None, 1)]):
        request = pb.IngestMessageRequest(tenant_id="t", conversation_id="c", role="user", content=f"bread {n}")
        request.metadata.update({"size": size} | ({"colour": colour} if colour else {}))
        await memory.IngestMessage(request)

    async def numbers(*equal: str, **more: str) -> list[int]:
        answers = [
            await rest.http.get(
                "/v1/memory/search",
                params={"tenant_id": "t", "query": "bread", "top_k": "9", "metadata_equals": list(equal)} | more,
            ),
            await rest.http.post(
                "/v1/memory/search",
                json={"tenant_id": "t", "query": "bread", "top_k": 9, "metadata_equals": equal} | more,
            ),
        ]
        found = [sorted(int(hit["content"].split()[1]) for hit in answer.json()["items"]) for answer in answers]
        assert found[0] == found[1]
        return found[0]

    for ranking in RANKINGS:
        assert await numbers("colour=red", "colour=green", ranking=ranking) == [0, 1, 2]
        assert await numbers("colour=green", "size=1", "colour=red", ranking=ranking) == [0, 2]
        assert await numbers("size=1", "size=3", "colour=blue", ranking=ranking) == [4]
        assert await numbers("colour=red", "colour=red", ranking=ranking) == [0, 1]
        assert await numbers("colour=red", "colour=none", ranking=ranking) == [0, 1]
        assert await numbers("colour=grey", "colour=none", ranking=ranking) == []
        assert await numbers("colour=red", "colour=blue", ranking=ranking, filter="metadata.size = 2") == [1, 3]
        assert await numbers("size=1", ranking=ranking, filter="NOT metadata:colour") == [5]


# What is wrong, and the character where that shows.
WRONG = [
    (f"{SECRET} = 1", 1),
    (f'role = "{SECRET}"', 8),
    (f'user_id = "{SECRET}', 11),
    (f"{SECRET}", 1),
    (f'role = "user" and name = "{SECRET}"', 15),
    (f'metadata.{SECRET} = "a" OR', 26),
    (f'(metadata.{SECRET} = "a"', 24),
    (f'created_at > "{SECRET}"', 14),
    (f"importance > {SECRET}", 14),
    (f"metadata.{SECRET} < true", 18),
    (f"role > user AND name = {SECRET}", 6),
    (f"name = {SECRET}*", 15),
    (f"name = '{SECRET}' )", 18),
    (f"metadata.a = 9007199254740993 AND name = {SECRET}", 14),
    (f'name = "{SECRET}\ud7ff" AND user_id = "' + "x" * 129 + '"', 33),
]


@pytest.mark.parametrize(("text", "position"), WRONG, ids=range(len(WRONG)))
async def test_what_cannot_be_read_is_refused_with_its_place_and_not_repeated(
    rest: RunningRest, text: str, position: int
) -> None:
    wanted = {"tenant_id": "t", "query": "q", "filter": text}
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await rest.server.memory.SearchMemories(pb.SearchMemoriesRequest(**wanted))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    ((field, description),) = violations(refused.value)
    assert field == "filter"
    assert description.startswith(f"character {position}: "), description
    answers = [
        await rest.http.get("/v1/memory/search", params=wanted),
        await rest.http.post("/v1/memory/search", json=wanted),
    ]
    for answer in answers:
        assert answer.status_code == 400
        assert violations_of(answer) == [("filter", description)]
        assert SECRET not in answer.text
    assert SECRET not in repr(refused.value)


def violations(error: grpc.aio.AioRpcError) -> list[tuple[str, str]]:
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    return [(violation.field, violation.description) for violation in bad.field_violations]


def violations_of(answer: httpx.Response) -> list[tuple[str, str]]:
    (found,) = [detail["field_violations"] for detail in answer.json()["details"] if "field_violations" in detail]
    return [(violation["field"], violation["description"]) for violation in found]


@pytest.mark.parametrize(
    ("fits", "too_much"),
    [
        ("name = x".ljust(2000), "name = x".ljust(2001)),
        (" OR ".join(["name = x"] * 50), " OR ".join(["name = x"] * 51)),
        ("(" * 10 + "name = x" + ")" * 10, "(" * 11 + "name = x" + ")" * 11),
        ("NOT " * 10 + "name = x", "NOT " * 11 + "name = x"),
        ("metadata" + ".k" * 16 + ":*", "metadata" + ".k" * 17 + ":*"),
        (f'user_id = "{"x" * 128}"', f'user_id = "{"x" * 129}"'),
        (f'name = "{"😀" * 64}"', f'name = "{"😀" * 65}"'),
    ],
    ids=["characters", "comparisons", "parentheses", "nots", "keys", "a user", "a name"],
)
async def test_a_filter_may_be_as_long_and_as_deep_as_is_said(rest: RunningRest, fits: str, too_much: str) -> None:
    for text, status in ((fits, 200), (too_much, 400)):
        wanted = {"tenant_id": "t", "query": "q", "filter": text}
        by_get = await rest.http.get("/v1/memory/search", params=wanted)
        by_post = await rest.http.post("/v1/memory/search", json=wanted)
        assert (by_get.status_code, by_post.status_code) == (status, status), by_post.text[:300]
        if status == 400:
            assert [field for field, _ in violations_of(by_post)] == ["filter"]


async def test_a_filter_that_is_broken_is_named_beside_other_faults_or_after_them(rest: RunningRest) -> None:
    """Limits of fields are looked at first; then the filter is read. Neither hides behind a fault of the other kind."""
    wrong = {"tenant_id": "t", "query": "q", "filter": "role = ", "top_k": 0}
    answer = await rest.http.post("/v1/memory/search", json=wrong)
    assert answer.status_code == 400
    assert "top_k" in dict(violations_of(answer))
    answer = await rest.http.post("/v1/memory/search", json=wrong | {"top_k": 1})
    assert [field for field, _ in violations_of(answer)] == ["filter"]
    answer = await rest.http.post(
        "/v1/memory/search", json={"tenant_id": "t", "query": "q", "metadata_equals": ["no equals sign"]}
    )
    assert [field for field, _ in violations_of(answer)] == ["metadata_equals[0]"]

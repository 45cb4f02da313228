"""Which of the ranked messages are hits: equal texts once, without some, good enough; and still as many as asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from memory_grpc.operations.search import select
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningRest, RunningServer
from tests.integration.test_ingest import message

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]
RANKINGS = pytest.mark.parametrize("ranking", ["semantic", "hybrid"])
QUERY = "which language do I like"


async def fill(server: RunningServer) -> None:
    """The question itself five times, an answer forty times, and thirty others."""
    texts = [QUERY] * 5 + ["the language I like is Python"] * 40 + [f"which number is {n}" for n in range(30)]
    await server.memory.BatchIngestMessages(
        pb.BatchIngestMessagesRequest(messages=[message(text, embed_later=False) for text in texts])
    )


async def found(server: RunningServer, ranking: str, **fields: Any) -> list[pb.MemoryHit]:
    request = pb.SearchMemoriesRequest(**({"tenant_id": "acme", "query": QUERY, "ranking": ranking} | fields))
    request.as_of.FromDatetime(datetime(2036, 1, 1, tzinfo=UTC))
    return list((await server.memory.SearchMemories(request)).items)


@RANKINGS
async def test_equal_texts_are_shown_once_and_there_are_as_many_hits(
    server: RunningServer, ranking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(select, "_SPARE", 1)  # so that it has to rank more, and more again
    await fill(server)
    everything = await found(server, ranking, top_k=1000)
    once = list({hit.content: hit for hit in reversed(everything)}.values())
    best = sorted(once, key=everything.index)
    for top_k in (1, 3, 20, 32, 1000):
        assert await found(server, ranking, top_k=top_k, distinct=True) == best[:top_k]
    others = [hit for hit in best if hit.content != QUERY]
    assert await found(server, ranking, top_k=20, distinct=True, exclude_query_text=True) == others[:20]
    not_asked = [hit for hit in everything if hit.content != QUERY]
    assert await found(server, ranking, top_k=50, exclude_query_text=True) == not_asked[:50]


@RANKINGS
async def test_excluded_messages_leave_their_places_to_the_next(server: RunningServer, ranking: str) -> None:
    await fill(server)
    everything = await found(server, ranking, top_k=1000)
    excluded = [hit.message_id for hit in everything[:30:2]]
    left = [hit for hit in everything if hit.message_id not in excluded]
    assert await found(server, ranking, top_k=25, exclude_message_ids=excluded) == left[:25]


@RANKINGS
async def test_hits_are_good_enough(server: RunningServer, ranking: str) -> None:
    await fill(server)
    everything = await found(server, ranking, top_k=1000)
    least = everything[60].score
    assert await found(server, ranking, top_k=1000, min_score=least) == [h for h in everything if h.score >= least]
    assert await found(server, ranking, top_k=10, min_score=least) == everything[:10]
    assert await found(server, ranking, min_score=everything[0].score + 1e-9) == []
    distinct = await found(server, ranking, top_k=1000, min_score=least, distinct=True)
    assert {hit.content for hit in distinct} == {h.content for h in everything if h.score >= least}


async def test_over_rest(rest: RunningRest) -> None:
    await fill(rest.server)
    query = f"tenant_id=acme&query={QUERY}&top_k=3&distinct=true&exclude_query_text=true&min_score=-5"
    hits = (await rest.http.get(f"/v1/memory/search?{query}")).json()["items"]
    assert len({hit["content"] for hit in hits}) == 3
    without = "".join(f"&exclude_message_ids={hit['message_id']}" for hit in hits[:2])
    fewer = (await rest.http.get(f"/v1/memory/search?{query}{without}")).json()["items"]
    assert not {hit["message_id"] for hit in hits[:2]} & {hit["message_id"] for hit in fewer}
    wrong = await rest.http.get(f"/v1/memory/search?{query}&exclude_message_ids=x")
    assert wrong.status_code == 400
    assert wrong.json()["details"][1]["field_violations"][0]["field"] == "exclude_message_ids[0]"

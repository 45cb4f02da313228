"""Whether anything that was found answers: the relevance of hits, and searches that find nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_service_pb2
from tests.conftest import RunningServer
from tests.integration.test_search import NOW, fill, message, query

pytestmark = pytest.mark.asyncio

SAID = ("the zugzwang was decisive", "bread and butter", "we travel to Lisbon", "the piano is out of tune")


async def found(server: RunningServer, text: str, ranking: str, **fields: float) -> pb.SearchMemoriesResponse:
    response: pb.SearchMemoriesResponse = await server.memory.SearchMemories(
        query(text, ranking=ranking, top_k=4, explain=True, **fields)
    )
    return response


async def test_words_that_are_there_make_a_hit_more_relevant_and_words_that_nobody_said_do_not(
    server: RunningServer,
) -> None:
    await fill(server, [message(text, NOW - timedelta(minutes=n), conversation_id=text) for n, text in enumerate(SAID)])
    semantic = await found(server, "decisive zugzwang", "semantic")
    hybrid = await found(server, "decisive zugzwang", "hybrid")
    assert [hit.relevance for hit in semantic.items] == [hit.similarity for hit in semantic.items]
    best = hybrid.items[0]
    assert best.content == SAID[0]
    assert best.relevance == pytest.approx(best.similarity + 0.4)
    assert all(hit.relevance == pytest.approx(hit.similarity) for hit in hybrid.items[1:])
    assert hybrid.relevance == best.relevance
    # Of four words of one rarity each, nobody said two; the two that were said are rare among four messages alike.
    halved = (await found(server, "decisive zugzwang quetzal marzipan", "hybrid")).items[0]
    assert 0 < halved.relevance - halved.similarity < 0.2


@pytest.mark.parametrize("ranking", ["semantic", "hybrid"])
async def test_what_is_less_relevant_is_left_out_and_nothing_stands_in_its_place(
    server: RunningServer, ranking: str
) -> None:
    await fill(server, [message(text, NOW, conversation_id=text) for text in SAID])
    everything = await found(server, SAID[1], ranking)
    least = sorted(hit.relevance for hit in everything.items)[-2]
    kept = await found(server, SAID[1], ranking, min_relevance=least)
    assert [hit.message_id for hit in kept.items] == [
        hit.message_id for hit in everything.items if hit.relevance >= least
    ]
    assert kept.total == 2
    nothing = await found(server, SAID[1], ranking, min_relevance=2)
    assert (nothing.total, list(nothing.items)) == (0, [])
    assert nothing.relevance == everything.relevance, "it says how near the best was"


async def test_an_empty_memory_has_no_relevance(server: RunningServer) -> None:
    nothing = await found(server, "anything", "hybrid")
    assert not nothing.HasField("relevance")


async def test_what_is_written_without_spaces_is_ranked_by_words_unless_a_policy_says_otherwise(
    server: RunningServer,
) -> None:
    """The cues and the weights of the default recipe are of English, and of a model that reads it."""
    await fill(server, [message("我们去了北京", NOW - timedelta(minutes=1))])

    async def weight(text: str) -> float:
        weights = (await found(server, text, "hybrid")).explanation.weights
        return next(one.weight for one in weights if one.name == "relevance.near")

    assert [await weight("北京在哪里"), await weight("Where is Beijing?")] == [0, 0.382]
    policy = policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme")
    policy.hybrid_weights.recipe = "surroundings"
    await server.policy.SetTenantPolicy(policy)
    assert await weight("北京在哪里") == 0.382

"""The hybrid ranking through the API: words, speakers, dates, conversations, and its documented form."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import policy_pb2, policy_service_pb2
from tests.conftest import RunningServer, StartServer
from tests.integration.test_search import NOW, fill, message, query, random_messages

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.mark.asyncio
async def test_terms_add_up_and_the_score_keeps_the_documented_form(server: RunningServer) -> None:
    await fill(server, random_messages(200))
    found = await server.memory.SearchMemories(
        query("bread and python last week", top_k=200, ranking="hybrid", explain=True)
    )
    assert (found.total, found.explanation.ranking, found.explanation.exact) == (200, "hybrid", True)
    assert found.explanation.candidates == 200
    relevances = []
    for hit in found.items:
        assert sum(term.weight * term.value for term in hit.explanation.terms) == pytest.approx(hit.score, abs=1e-6)
        relevances.append((hit.score - 0.3 * hit.importance - 0.1 * hit.decay) / 0.6)
    assert max(relevances) == pytest.approx(1, abs=1e-6)
    assert min(relevances) >= -1e-6


@pytest.mark.asyncio
async def test_a_rare_word_a_named_speaker_and_a_date_each_lift_a_message(server: RunningServer) -> None:
    may, june = datetime(2025, 5, 7, 9, tzinfo=UTC), datetime(2025, 6, 7, 9, tzinfo=UTC)
    messages = [
        message("I went to the lake with friends", may, name="Caroline", conversation_id="c1"),
        message("I went to the lake with friends", june, name="Caroline", conversation_id="c2"),
        message("I went to the lake with friends", may, name="Melanie", conversation_id="c3"),
        message("The zugzwang was decisive", june, name="Melanie", conversation_id="c4"),
    ]
    ids = await fill(server, messages)

    async def best(text: str) -> str:
        return (await server.memory.SearchMemories(query(text, ranking="hybrid"))).items[0].message_id

    assert await best("Where did Caroline go on 7 May 2025?") == ids[0]
    assert await best("Where did Caroline go in June 2025?") == ids[1]
    assert await best("Where did Melanie go with friends?") == ids[2]
    assert await best("zugzwang") == ids[3]


@pytest.mark.asyncio
async def test_words_at_the_end_of_a_very_long_message_are_found(server: RunningServer) -> None:
    rng = random.Random(5)
    filler = " ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(9000))
    ids = await fill(server, [message(filler[:99_000] + " quetzalcoatlus"), *random_messages(50)])
    found = await server.memory.SearchMemories(query("quetzalcoatlus", ranking="hybrid", explain=True, top_k=51))
    lexical = {
        hit.message_id: next(t.value for t in hit.explanation.terms if t.name == "lexical") for hit in found.items
    }
    assert {message_id for message_id, value in lexical.items() if value > 0} == {ids[0]}


@pytest.mark.asyncio
async def test_only_words_that_a_message_repeats_are_stored_with_their_places(
    server: RunningServer, rows: Rows
) -> None:
    filler = " ".join(f"filler{number:04}" for number in range(200))
    said = ["bread with bread and music", "music and a garden", "", f"bread, bread, music {filler}"]
    await fill(server, [message(text or "?!", NOW) for text in said])
    found = rows("""
        select m.content, array_agg(lexeme || ' ' || cardinality(positions)) filter (where positions is not null)
        from message_lexemes l join messages m on m.id = l.message_id left join unnest(lexemes) on true group by 1
    """)
    repeated = ["bread 2"]
    assert dict(found) == {said[0]: repeated, said[1]: None, "?!": None, said[3]: repeated}

    async def ranked() -> bytes:
        found = await server.memory.SearchMemories(
            query("bread with music and a garden", ranking="hybrid", explain=True)
        )
        return b"".join(hit.SerializeToString(deterministic=True) for hit in found.items)

    # As versions before stored them: with the places of all words.
    before = await ranked()
    rows("""
        update message_lexemes l set lexemes = to_tsvector('english', content) from messages m
        where m.id = l.message_id and l.parts = 1
    """)
    assert rows("select count(*) from message_lexemes, unnest(lexemes) where parts = 1 and positions is null") == [(0,)]
    assert await ranked() == before


@pytest.mark.asyncio
async def test_filters_choose_hits_and_never_leave_one_out(server: RunningServer) -> None:
    await fill(server, random_messages(300))
    everything = (await server.memory.SearchMemories(query("music", ranking="hybrid", top_k=1000))).items
    assert len(everything) == 300
    for filters, passes in (
        ({"role": "system"}, lambda hit: hit.role == "system"),
        ({"conversation_id": "c3"}, lambda hit: hit.conversation_id == "c3"),
        ({"importance_min": 0.3}, lambda hit: hit.importance >= 0.3),
    ):
        found = await server.memory.SearchMemories(query("music", ranking="hybrid", top_k=1000, **filters))
        wanted = {hit.message_id for hit in everything if passes(hit)}
        assert 0 < len(wanted) < 300
        assert {hit.message_id for hit in found.items} == wanted
    newest = await server.memory.SearchMemories(query("music", ranking="hybrid", top_k=1000, candidate_limit=10))
    assert newest.total == 10


@pytest.mark.asyncio
async def test_archived_messages_are_found_by_their_words_when_asked_for(server: RunningServer) -> None:
    ids = await fill(server, [message("the zugzwang was decisive", NOW - timedelta(days=40)), *random_messages(30)])
    await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
    request = query("zugzwang", ranking="hybrid", top_k=1)
    request.ClearField("as_of")  # it was not archived then
    live = (await server.memory.SearchMemories(request)).items
    assert ids[0] not in [hit.message_id for hit in live]
    request.include_archived = True
    assert (await server.memory.SearchMemories(request)).items[0].message_id == ids[0]


@pytest.mark.asyncio
async def test_the_ranking_comes_from_the_request_then_the_policy_then_the_deployment(
    start_server: StartServer,
) -> None:
    async def ranking(server: RunningServer, **fields: str) -> str:
        found = await server.memory.SearchMemories(query("x", explain=True, **fields))
        return str(found.explanation.ranking)

    async with start_server() as server:
        assert await ranking(server) == "semantic"
        await server.policy.SetTenantPolicy(
            policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme", ranking="hybrid")
        )
        assert await ranking(server) == "hybrid"
        assert await ranking(server, ranking="semantic") == "semantic"
    async with start_server(search_ranking="hybrid") as server:
        assert await ranking(server, tenant_id="other") == "hybrid"


@pytest.mark.asyncio
async def test_parts_are_switched_off_by_policy(server: RunningServer) -> None:
    await fill(server, random_messages(50))
    off = policy_pb2.HybridWeights(lexical=0, conversation=0, date=0, speaker=0, previous=0, names_to_i=False)
    await server.policy.SetTenantPolicy(policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme", hybrid_weights=off))
    hybrid = (await server.memory.SearchMemories(query("python", ranking="hybrid", top_k=50, explain=True))).items
    for hit in hybrid:
        terms = {term.name: term.weight for term in hit.explanation.terms}
        assert {terms[name] for name in ("lexical", "conversation", "date", "speaker")} == {0}


@pytest.mark.asyncio
async def test_the_same_request_gives_the_same_bytes_whatever_ran_before(start_server: StartServer) -> None:
    request = query("python bread and music", ranking="hybrid", top_k=100, explain=True)
    async with start_server() as server:
        await fill(server, random_messages(400))
        answers = {
            (await server.memory.SearchMemories(request)).SerializeToString(deterministic=True) for _ in range(12)
        }
        assert len(answers) == 1, "custom and generic plans, prepared or not"
    async with start_server() as server:
        again = await server.memory.SearchMemories(request)
    assert {again.SerializeToString(deterministic=True)} == answers


@pytest.mark.asyncio
async def test_an_empty_tenant_and_a_query_without_words(server: RunningServer) -> None:
    assert (await server.memory.SearchMemories(query("anything", ranking="hybrid"))).total == 0
    await fill(server, random_messages(5))
    for text in ("?!", "the of and", "'''\\\\ & | ! ( ) : *", "日本語"):
        assert (await server.memory.SearchMemories(query(text, ranking="hybrid"))).total == 5


@pytest.mark.asyncio
async def test_messages_without_stored_words_are_found_with_their_conversations(
    server: RunningServer, rows: Rows
) -> None:
    lifted = policy_pb2.HybridWeights(recipe="conversation")
    await server.policy.SetTenantPolicy(
        policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme", hybrid_weights=lifted)
    )
    await fill(server, [message("bread", NOW, conversation_id="c1"), message("music", NOW, conversation_id="c2")])
    await fill(server, [message("travel", NOW, conversation_id="c2")])
    rows("delete from message_lexemes")
    await fill(server, [message("the zugzwang was decisive", NOW, conversation_id="c1")])
    request = query("zugzwang", ranking="hybrid", top_k=10, explain=True)
    found = (await server.memory.SearchMemories(request)).items
    assert len(found) == 4
    terms = {hit.content: {term.name: term.value for term in hit.explanation.terms} for hit in found}
    assert terms["bread"]["lexical"] == terms["music"]["lexical"] == 0
    best = terms["the zugzwang was decisive"]["similarity"] + 0.25 * terms["the zugzwang was decisive"]["lexical"]
    assert terms["bread"]["conversation"] == pytest.approx(best)
    assert terms["music"]["conversation"] == terms["travel"]["conversation"] < best


@pytest.mark.asyncio
async def test_words_of_every_kind_are_found(server: RunningServer) -> None:
    pairs = [
        ("ticket POSEIDON-1234 is closed", "What about ticket 1234?"),
        ("ticket POSEIDON 77 is open", "What about POSEIDON-77?"),
        ("it is in report_2024-final.pdf", "Where is the final report?"),
        ("see https://example.com/docs/setup.html", "the docs of example.com"),
        ("we run v2.3.1 now", "Who has 2.3.1?"),
        ("no nuts/soy for me", "Is soy allowed?"),
        ("black\u00a0tea", "Who drinks tea?"),
        ("a café in Genève", "cafes of Geneve"),
        ("a hotel in Zurich", "Zürich"),
        ("看 getUserName 的代码", "the user name"),
        ("我对花生过敏", "花生"),
        ("ฉันแพ้ไข่ไก่", "ไข่"),
        ("알레르기가 있어요", "알레르기"),
    ]
    await fill(server, [message(said, NOW, conversation_id=f"c{n}") for n, (said, _) in enumerate(pairs)])
    for said, asked in pairs:
        found = await server.memory.SearchMemories(query(asked, ranking="hybrid", top_k=50, explain=True))
        lexical = {hit.content: {t.name: t.value for t in hit.explanation.terms}["lexical"] for hit in found.items}
        assert max(lexical, key=lambda content: lexical[content]) == said, (asked, lexical)


@pytest.mark.asyncio
async def test_the_longest_message_without_spaces_is_found_by_its_characters(server: RunningServer) -> None:
    ideographs = "".join(map(chr, [*range(0x20000, 0x2A000), *range(0x4E00, 0x9000)]))
    await fill(server, [message("会议记录" + ideographs)])
    found = await server.memory.SearchMemories(query("会议", ranking="hybrid", explain=True))
    assert {term.name: term.value for term in found.items[0].explanation.terms}["lexical"] > 0

"""Words of several languages: a message says which it is in, a query too, and the tenant's policy for all others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from memory_grpc.domain.language import text_configs
from memory_layer.v1 import context_pb2, policy_service_pb2, revision_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import RunningServer
from tests.integration.test_ingest import eventually
from tests.integration.test_search import fill, message, query

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def found(server: RunningServer, text: str, **fields: Any) -> set[str]:
    """What holds a word of the query."""
    answer = await server.memory.SearchMemories(query(text, NOW, ranking="hybrid", explain=True, top_k=50, **fields))
    return {
        hit.content for hit in answer.items if {t.name: t.value for t in hit.explanation.terms}.get("lexical", 0) > 0
    }


async def tell(server: RunningServer, *said: str, **fields: Any) -> None:
    """Each in a conversation of its own."""
    await fill(server, [message(text, NOW, conversation_id=text, **fields) for text in said])


async def set_language(server: RunningServer, language: str | None) -> Any:
    request = policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme", language=language)
    return await server.policy.SetTenantPolicy(request)


async def test_a_message_is_stemmed_by_its_language_and_so_is_a_query(server: RunningServer) -> None:
    await tell(server, "Die Häuser sind alt", "Wir wollen nach Hause", language="de-AT")
    await tell(server, "She was running", "They die young")
    assert await found(server, "Welche Häusern?", language="de") == {"Die Häuser sind alt", "Wir wollen nach Hause"}
    assert await found(server, "Häusern") == set(), "not a word of English"
    assert await found(server, "die", language="de") == set(), "a word that counts for nothing"
    assert await found(server, "run", language="en") == await found(server, "run") == {"She was running"}


async def test_a_language_without_a_stemmer_is_found_word_for_word(server: RunningServer) -> None:
    await tell(server, "to jest kot", language="pl")
    assert await found(server, "kot", language="pl") == {"to jest kot"}
    assert await found(server, "to", language="pl") == {"to jest kot"}, "no stop word of English"


async def test_the_language_comes_back_and_stays_through_updates(server: RunningServer, rows: Rows) -> None:
    stored = await server.memory.IngestMessage(message("Die Häuser sind alt", NOW, language="de"))
    assert stored.language == "de"
    request = revision_pb2.UpdateMessageRequest(tenant_id="acme", message_id=stored.id, content="Die Katzen schlafen")
    updated = await server.memory.UpdateMessage(request)
    assert updated.language == "de"
    assert rows("select tsvector_to_array(lexemes) from message_lexemes") == [(["katz", "schlaf"],)]
    other = await server.memory.IngestMessage(message("bread", NOW))
    assert not other.HasField("language")


async def test_the_policy_changes_the_language_of_a_tenant_while_it_is_searched(
    server: RunningServer, rows: Rows
) -> None:
    await tell(server, "Die Häuser sind alt")
    await tell(server, "She was running", language="en")
    assert await found(server, "Haus") == set()
    policy = await set_language(server, "de")
    assert (policy.language, list(policy.overrides)) == ("de", ["language"])
    await eventually(lambda: rows("select config from tenant_vocabularies") == [("german/3",)], 30)
    assert await found(server, "Haus") == {"Die Häuser sind alt"}
    assert await found(server, "runs", language="en") == {"She was running"}
    policy = await set_language(server, None)
    assert not policy.HasField("language")
    await eventually(lambda: rows("select config from tenant_vocabularies") == [("english/3",)], 30)
    assert await found(server, "Haus") == set()


async def test_a_context_is_found_by_the_language_of_its_query(server: RunningServer) -> None:
    await tell(server, "Die Häuser sind alt", language="de")
    await tell(server, "Die Bäume sind alt", "Die Wege sind weit", language="de")
    request = context_pb2.BuildContextRequest(
        tenant_id="acme", query="Haus", max_tokens=15, recent_turns=0, ranking="hybrid", language="de"
    )
    built = await server.memory.BuildContext(request)
    assert [part.message.content for part in built.messages] == ["Die Häuser sind alt"]


async def test_what_is_no_tag_is_refused_with_its_field(server: RunningServer) -> None:
    bad = "German!"
    calls = [
        (server.memory.IngestMessage(message("hi", NOW, language=bad)), "language"),
        (
            server.memory.BatchIngestMessages(
                pb.BatchIngestMessagesRequest(messages=[message("hi", NOW), message("hi", NOW, language=bad)])
            ),
            "messages[1].language",
        ),
        (server.memory.SearchMemories(query("hi", NOW, language=bad)), "language"),
        (set_language(server, bad), "language"),
    ]
    for call, field in calls:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert field in (refused.value.details() or "")
        assert bad not in (refused.value.details() or "")


async def test_postgres_has_every_configuration(rows: Rows) -> None:
    there = {name for (name,) in rows("select cfgname from pg_ts_config")}
    assert {config for config in text_configs().values() if config} <= there

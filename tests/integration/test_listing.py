"""Lists of messages, conversations and users: whole, in order, by pages, and quick whatever the tenant holds."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import grpc
import psycopg
import pytest

from memory_grpc.domain.search import SearchFilters
from memory_grpc.filtering import parse
from memory_grpc.store import filters, listing, page_bytes
from memory_grpc.store.database import Database
from memory_grpc.store.queries import text
from memory_layer.v1 import listing_pb2 as pb
from memory_layer.v1 import memory_service_pb2
from tests.conftest import RunningRest, RunningServer
from tests.integration.test_ingest import message

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]

# Messages of two tenants, a fifth of them archived and a tenth expired, several at one moment.
FILL = """
insert into messages (tenant_id, id, conversation_id, role, content, metadata, importance, embedding_status, created_at,
    updated_at, user_id, archived_at, expires_at)
select %s, uuidv7(), 'c-' || (n * 7919) %% 23, case n %% 3 when 0 then 'assistant' else 'user' end, 'turn ' || n,
    jsonb_build_object('source', case n %% 4 when 0 then 'web' else 'app' end), 0.5, 'completed',
    timestamptz '2026-01-01' + (n / 3) * interval '1 minute', now(),
    case when n %% 5 > 0 then 'u-' || (n * 31) %% 11 end,
    case when n %% 5 = 1 then now() end, case when n %% 10 = 2 then now() - interval '1 second' end
from generate_series(1, %s) n
"""
THERE = "tenant_id = 'acme' and (expires_at is null or expires_at > now())"


async def listed(server: RunningServer, size: int = 7, **fields: Any) -> list[str]:
    """The ids of all pages."""
    found: list[str] = []
    token = ""
    while True:
        request = pb.ListMessagesRequest(**({"tenant_id": "acme", "page_size": size, "page_token": token} | fields))
        page = await server.memory.ListMessages(request)
        assert len(page.messages) == size or not page.next_page_token
        found += [m.id for m in page.messages]
        token = page.next_page_token
        if not token:
            return found


def ids(rows: Rows, where: str, order: str = "created_at, id") -> list[str]:
    return [str(id_) for (id_,) in rows(f"select id from messages where {THERE} and {where} order by {order}")]


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_pages_together_are_the_whole_in_order(server: RunningServer, rows: Rows, size: int) -> None:
    rows(FILL, "acme", 200 if size > 1 else 40)
    rows(FILL, "rival", 50)
    backwards = "created_at desc, id desc"
    assert await listed(server, size) == ids(rows, "archived_at is null")
    assert await listed(server, size, order_by="created_at desc") == ids(rows, "archived_at is null", backwards)
    everything = await listed(server, size, include_archived=True)
    assert everything == ids(rows, "true")
    assert await listed(server, size, include_archived=True, order_by="created_at desc") == everything[::-1]


async def test_filters_are_those_of_a_search(server: RunningServer, rows: Rows) -> None:
    rows(FILL, "acme", 120)
    for fields, where in (
        ({"conversation_id": "c-3"}, "archived_at is null and conversation_id = 'c-3'"),
        ({"user_id": "u-4", "include_archived": True}, "user_id = 'u-4'"),
        ({"role": "assistant"}, "archived_at is null and role = 'assistant'"),
        ({"metadata_equals": ["source=web"]}, "archived_at is null and metadata->>'source' = 'web'"),
        ({"filter": "archived = true AND role = user"}, "archived_at is not null and role = 'user'"),
        ({"filter": 'metadata.source = "none"'}, "false"),
        ({"importance_min": 0.6}, "false"),
    ):
        assert await listed(server, **fields) == ids(rows, where), fields
        page = await server.memory.ListMessages(pb.ListMessagesRequest(tenant_id="acme", include_total=True, **fields))
        assert page.total_size == len(ids(rows, where)), fields
    unasked = await server.memory.ListMessages(pb.ListMessagesRequest(tenant_id="acme"))
    assert not unasked.HasField("total_size")
    assert len(unasked.messages) == 50


async def test_where_metadata_leads_to_many_they_are_found_by_age(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(FILL, "acme", 120)
    monkeypatch.setattr(listing, "_MOST_BY_METADATA", 3)
    assert await listed(server, filter="metadata.source = web") == ids(
        rows, "archived_at is null and metadata->>'source' = 'web'"
    )


async def test_nothing_is_missed_or_repeated_while_messages_arrive(server: RunningServer, rows: Rows) -> None:
    rows(FILL, "acme", 300)
    before = ids(rows, "true")
    done = asyncio.Event()

    async def write(number: int) -> None:
        chance = random.Random(number)
        while not done.is_set():
            request = message(f"new {number}", embed_later=True)
            request.created_at.FromJsonString(f"2026-01-01T0{chance.randrange(10)}:00:00Z")
            await server.memory.IngestMessage(request)
            rows(
                "update messages set archived_at = now() where id = (select id from messages where tenant_id = 'acme' "
                "and archived_at is null order by random() limit 1)"
            )

    writers = [asyncio.create_task(write(number)) for number in range(2)]
    try:
        for order in ("created_at", "created_at desc"):
            found = await listed(server, 5, include_archived=True, order_by=order)
            assert len(found) == len(set(found))
            known = [id_ for id_ in found if id_ in set(before)]
            assert known == (before if order == "created_at" else before[::-1])
    finally:
        done.set()
        await asyncio.gather(*writers)
    assert len(ids(rows, "true")) > len(before), "nothing arrived meanwhile"


async def test_a_page_of_long_texts_ends_before_its_size(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_bytes, "PAGE_BYTES", 250)
    monkeypatch.setattr(page_bytes, "BEYOND_BYTES", 200)
    for number in range(5):
        await server.memory.IngestMessage(message(str(number) * 100))
    sizes, token = [], ""
    while True:
        page = await server.memory.ListMessages(pb.ListMessagesRequest(tenant_id="acme", page_token=token))
        sizes.append([m.content[0] for m in page.messages])
        token = page.next_page_token
        if not token:
            break
    assert sizes == [["0", "1", "2"], ["3", "4"]]


async def test_conversations_and_users_are_told_as_they_are_stored(server: RunningServer, rows: Rows) -> None:
    rows(FILL, "acme", 300)
    rows(FILL, "rival", 300)
    for noun, method, request in (
        ("conversation_id", server.memory.ListConversations, pb.ListConversationsRequest),
        ("user_id", server.memory.ListUsers, pb.ListUsersRequest),
    ):
        expected = rows(
            f"select {noun}, min(created_at), max(created_at), count(*), count(archived_at) from messages "
            f"where {THERE} and {noun} is not null group by 1 order by 1"
        )
        found: list[Any] = []
        token = ""
        while True:
            page = await method(request(tenant_id="acme", page_size=4, page_token=token))
            some = getattr(page, "conversations" if noun == "conversation_id" else "users")
            assert len(some) <= 4
            found += some
            token = page.next_page_token
            if not token:
                break
        times = ("first_message_at", "last_message_at")
        told = [
            (getattr(one, noun), *(getattr(one, t).ToDatetime() for t in times), one.message_count, one.archived_count)
            for one in found
        ]
        assert told == [
            (key, first.replace(tzinfo=None), last.replace(tzinfo=None), count, archived)
            for key, first, last, count, archived in expected
        ]
        if noun == "conversation_id":
            whose = dict(
                rows(
                    f"select conversation_id, array_agg(distinct user_id) from messages where {THERE} "
                    "and user_id is not null group by 1"
                )
            )
            assert {one.conversation_id: list(one.user_ids) for one in found} == whose
            assert all(one.user_count == len(one.user_ids) for one in found)


async def test_what_is_expired_altogether_is_not_there(server: RunningServer, rows: Rows) -> None:
    await server.memory.IngestMessage(message(user_id="u-1"))
    rows("update messages set expires_at = now()")
    assert await listed(server, include_archived=True) == []
    assert not (await server.memory.ListConversations(pb.ListConversationsRequest(tenant_id="acme"))).conversations
    assert not (await server.memory.ListUsers(pb.ListUsersRequest(tenant_id="acme"))).users


async def test_a_token_is_of_its_own_request(server: RunningServer, rows: Rows) -> None:
    rows(FILL, "acme", 30)
    page = await server.memory.ListMessages(pb.ListMessagesRequest(tenant_id="acme", page_size=2))
    for request in (
        pb.ListMessagesRequest(tenant_id="acme", page_token=page.next_page_token, role="user"),
        pb.ListMessagesRequest(tenant_id="acme", page_token=page.next_page_token, order_by="created_at desc"),
        pb.ListMessagesRequest(tenant_id="rival", page_token=page.next_page_token),
        pb.ListMessagesRequest(tenant_id="acme", page_token="x"),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.memory.ListMessages(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "page_token" in (refused.value.details() or "")
    again = pb.ListMessagesRequest(tenant_id="acme", page_size=9, page_token=page.next_page_token)
    assert len((await server.memory.ListMessages(again)).messages) == 9, "the size may change"


async def test_over_rest(rest: RunningRest) -> None:
    for content in ("one", "two", "three"):
        await rest.server.memory.IngestMessage(message(content, user_id="u-1", metadata={"source": "web"}))
    query = {"tenant_id": "acme", "page_size": 2, "metadata_equals": "source=web", "include_total": True}
    first = (await rest.http.get("/v1/messages", params=query)).json()
    assert [m["content"] for m in first["messages"]] == ["one", "two"]
    assert first["total_size"] == 3
    rest_of_it = (await rest.http.get("/v1/messages", params=query | {"page_token": first["next_page_token"]})).json()
    assert [m["content"] for m in rest_of_it["messages"]] == ["three"]
    assert rest_of_it["next_page_token"] == ""
    (conversation,) = (await rest.http.get("/v1/conversations?tenant_id=acme")).json()["conversations"]
    assert (conversation["conversation_id"], conversation["message_count"], conversation["user_ids"]) == (
        "conv-1",
        3,
        ["u-1"],
    )
    (user,) = (await rest.http.get("/v1/users?tenant_id=acme")).json()["users"]
    assert (user["user_id"], user["message_count"], user["archived_count"]) == ("u-1", 3, 0)
    for wrong in ("order_by=id", "page_size=0", "page_size=1001", "filter=role", "page_token=x", "metadata_equals=ab"):
        response = await rest.http.get(f"/v1/messages?tenant_id=acme&{wrong}")
        assert response.status_code == 400, wrong
        violations = response.json()["details"][1]["field_violations"]
        assert violations[0]["field"].startswith(wrong.partition("=")[0]), wrong
    memory = (await rest.http.get("/v1/messages?tenant_id=nobody")).json()
    assert memory == {"messages": [], "next_page_token": ""}


def plans(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(inner for child in node.get("Plans", ()) for inner in plans(child))]


async def test_a_page_reads_about_what_it_shows(database: Database, dsn: str, rows: Rows) -> None:
    """Neither what the tenant holds besides nor what its neighbours hold is read."""
    for tenant in ("acme", "rival"):
        rows(FILL, tenant, 20_000)
        rows(
            "update messages set conversation_id = 'c-' || content, user_id = 'u-' || content where tenant_id = %s",
            tenant,
        )
    rows("vacuum analyze messages")
    queries: list[tuple[str, Any]] = []
    with psycopg.connect(dsn) as connection, pytest.MonkeyPatch.context() as patch:
        everything = filters.compiled(SearchFilters())
        of_user = filters.compiled(SearchFilters(where=parse('user_id = "u-turn 77"'), include_archived=True))
        async with database.transaction(tenant="acme") as tx:
            original = type(tx).all

            async def noted(self: Any, query: str, params: Any = None, *, parts: Any = ()) -> Any:
                queries.append((text(query, parts), params))
                return await original(self, query, params, parts=parts)

            patch.setattr(type(tx), "all", noted)
            for filter_ in (everything, of_user):
                for newest_first in (False, True):
                    await listing.messages(tx, "acme", filter_, None, None, 11, newest_first=newest_first)
            await listing.conversations(tx, "acme", "", 11)
            await listing.users(tx, "acme", "", 11)
        connection.execute("set local role memory_layer_tenant")
        connection.execute("set local memory.tenant_id = 'acme'")
        connection.execute("set local plan_cache_mode = force_custom_plan")
        for query, params in queries:
            explain: Any = f"explain (analyze, format json) {query}"
            row = connection.execute(explain, params).fetchone()
            assert row is not None
            tree = row[0] if isinstance(row[0], list) else json.loads(row[0])
            scans = [node for node in plans(tree[0]["Plan"]) if node.get("Relation Name") == "messages"]
            read = sum((n["Actual Rows"] + n.get("Rows Removed by Filter", 0)) * n["Actual Loops"] for n in scans)
            assert scans
            assert not [n for n in scans if n["Node Type"] in ("Seq Scan", "Bitmap Heap Scan") and n["Actual Loops"]]
            assert read < 200, f"{read} rows for a page of 11: {query}"


async def test_ids_of_messages_that_pass_by_their_metadata(database: Database, rows: Rows) -> None:
    rows(FILL, "acme", 40)
    rows(FILL, "rival", 40)
    async with database.transaction(tenant="acme") as tx:
        found = await listing.with_metadata(
            tx, "acme", filters.compiled(SearchFilters(where=parse("metadata.source = web")))
        )
        assert (
            await listing.with_metadata(tx, "acme", filters.compiled(SearchFilters(where=parse("role = user")))) is None
        )
    expected = rows("select id from messages where tenant_id = 'acme' and metadata->>'source' = 'web'")
    assert found is not None
    assert set(found) == {id_ for (id_,) in expected}
    assert all(isinstance(id_, UUID) for id_ in found)


async def test_other_fields_stay_as_they_are(server: RunningServer) -> None:
    stored = await server.memory.IngestMessage(message(name="Caroline", user_id="u-1", metadata={"n": 3}))
    (found,) = (await server.memory.ListMessages(pb.ListMessagesRequest(tenant_id="acme"))).messages
    assert found == stored
    assert found == await server.memory.GetMessage(memory_service_pb2.GetMessageRequest(message_id=stored.id))

"""Whose memory a message belongs to: said by the caller, or read from its metadata, and compared byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any
from uuid import UUID, uuid4

import grpc
import pytest

from memory_grpc.domain.messages import NewMessage
from memory_grpc.operations.messages.drafts import body_digest
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.message_pb2 import Message
from tests.conftest import RunningRest, RunningServer, StartRest, StartServer
from tests.integration.test_ingest import message

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]
# Users that some store, library or reader folds into one, or cannot carry.
TWINS = ["A", "a", "\u00e9", "e\u0301", "u", "u ", " u", "u\n", "7", "07", "u/7", "u%2F7", "\U0001f600", 'u"7', "u\\7"]


def of(value: Any, **fields: Any) -> pb.IngestMessageRequest:
    """A message whose metadata name this user."""
    request = message(**fields)
    request.metadata.update({"user_id": value})
    return request


async def streamed(server: RunningServer, requests: Iterable[pb.IngestMessageRequest]) -> list[str]:
    async def stream() -> AsyncIterator[pb.StreamIngestRequest]:
        for request in requests:
            yield pb.StreamIngestRequest(message=request)

    return [acknowledged.message_id async for acknowledged in server.memory.StreamIngest(stream())]


async def got(server: RunningServer, message_id: str) -> Message:
    found: Message = await server.memory.GetMessage(pb.GetMessageRequest(message_id=message_id))
    return found


async def found(server: RunningServer, **fields: Any) -> list[pb.MemoryHit]:
    request = pb.SearchMemoriesRequest(**({"tenant_id": "acme", "query": "I love Python", "top_k": 100} | fields))
    return list((await server.memory.SearchMemories(request)).items)


async def test_a_user_comes_back_however_the_message_was_sent(server: RunningServer) -> None:
    alone = await server.memory.IngestMessage(message(user_id="u-1"))
    batch = [message(user_id="u-2"), message(), message(user_id="u-3", embed_later=True)]
    together = (await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch))).messages
    ids = await streamed(server, [message(user_id="u-4"), message()])

    assert [m.user_id for m in (alone, *together)] == ["u-1", "u-2", "", "u-3"]
    assert not together[1].HasField("user_id"), "nobody is not a user without a name"
    fetched = [await got(server, id_) for id_ in (alone.id, *(m.id for m in together), *ids)]
    assert [m.user_id for m in fetched] == ["u-1", "u-2", "", "u-3", "u-4", ""]
    assert not fetched[2].HasField("user_id") and not fetched[5].HasField("user_id")


async def test_hits_and_their_neighbours_say_whose_they_are(server: RunningServer) -> None:
    turns = [message(f"turn {n}", user_id=None if n == 1 else f"u-{n}") for n in range(3)]
    await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=turns))
    for ranking in ("semantic", "hybrid"):
        hits = {hit.content: hit for hit in await found(server, query="turn", neighbours=2, ranking=ranking)}
        assert hits["turn 0"].user_id == "u-0"
        assert not hits["turn 1"].HasField("user_id")
        (after,) = [turn for turn in hits["turn 0"].neighbours.after if turn.content == "turn 2"]
        assert after.user_id == "u-2"


@pytest.mark.parametrize(
    ("value", "user_id"),
    [
        ("u-7", "u-7"),
        ("Ünï 日本 😀", "Ünï 日本 😀"),
        ("x" * 128, "x" * 128),
        ("😀" * 128, "😀" * 128),
        (7, "7"),
        (0, "0"),
        (-7, "-7"),
        (2**53 - 1, "9007199254740991"),
        ("007", "007"),
        ("x" * 129, None),
        ("", None),
        (7.5, None),
        (True, None),
        (False, None),
        (None, None),
        ({"id": "u-7"}, None),
        (["u-7"], None),
    ],
)
async def test_a_user_is_taken_from_metadata_where_none_is_set(
    server: RunningServer, value: Any, user_id: str | None
) -> None:
    """Text, or a whole number as its digits; the metadata stay as they were sent."""
    stored = await server.memory.IngestMessage(of(value))
    assert (stored.user_id if stored.HasField("user_id") else None) == user_id
    assert stored.metadata == of(value).metadata
    batch = pb.BatchIngestMessagesRequest(messages=[of(value), of(value, user_id="own")])
    batched = (await server.memory.BatchIngestMessages(batch)).messages
    assert [m.user_id for m in batched] == [user_id or "", "own"], "what is set goes before"
    (id_,) = await streamed(server, [of(value)])
    assert (await got(server, id_)).user_id == (user_id or "")
    if user_id is not None:
        assert len(await found(server, user_id=user_id)) == 3


@pytest.mark.parametrize(("key", "taken"), [("customer", "from customer"), ("", None)])
async def test_the_key_of_metadata_is_a_setting(start_server: StartServer, key: str, taken: str | None) -> None:
    async with start_server(user_id_metadata_key=key) as server:
        request = of("from user_id")
        request.metadata.update({"customer": "from customer", "": "from nothing"})
        stored = await server.memory.IngestMessage(request)
        assert (stored.user_id if stored.HasField("user_id") else None) == taken
        assert (await server.memory.IngestMessage(of("x", user_id="own"))).user_id == "own"


async def test_users_are_compared_byte_for_byte(rest: RunningRest) -> None:
    server = rest.server
    ids = {user: (await server.memory.IngestMessage(message(user_id=user))).id for user in TWINS}
    assert (await server.memory.IngestMessage(message())).user_id == ""
    for user, id_ in ids.items():
        for ranking in ("semantic", "hybrid"):
            assert [hit.message_id for hit in await found(server, user_id=user, ranking=ranking)] == [id_], user
        wanted = {"tenant_id": "acme", "query": "I love Python", "user_id": user}
        by_get = await rest.http.get("/v1/memory/search", params=wanted)
        by_post = await rest.http.post("/v1/memory/search", json=wanted)
        for answer in (by_get, by_post):
            assert answer.status_code == 200, answer.text
            assert [(hit["message_id"], hit["user_id"]) for hit in answer.json()["items"]] == [(id_, user)]
    for user in ("B", "\u00c9", "u  ", "nobody", "\U0001f601", "%"):
        assert await found(server, user_id=user) == []


async def test_rest_shows_a_user_where_there_is_one(rest: RunningRest) -> None:
    body = {"tenant_id": "acme", "conversation_id": "c", "role": "user", "content": "hello"}
    own, nobody = [(await rest.http.post("/v1/messages", json=body | more)).json() for more in ({"user_id": "u-7"}, {})]
    assert own["user_id"] == "u-7"
    assert "user_id" not in nobody
    hits = (await rest.http.get("/v1/memory/search", params={"tenant_id": "acme", "query": "hello"})).json()["items"]
    assert {hit["message_id"]: hit.get("user_id") for hit in hits} == {own["id"]: "u-7", nobody["id"]: None}
    taken = (await rest.http.post("/v1/messages", json=body | {"metadata": {"user_id": 42}})).json()
    assert (taken["user_id"], taken["metadata"]) == ("42", {"user_id": 42})


@pytest.mark.parametrize("user_id", ["", "x" * 129])
async def test_a_user_that_no_message_can_have_is_refused(rest: RunningRest, user_id: str) -> None:
    for call, request in (
        (rest.server.memory.IngestMessage, message(user_id=user_id)),
        (rest.server.memory.SearchMemories, pb.SearchMemoriesRequest(tenant_id="t", query="q", user_id=user_id)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call(request)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (refused.value.details() or "").startswith("user_id: ")
    wanted = {"tenant_id": "t", "query": "q", "user_id": user_id}
    answers = [
        await rest.http.get("/v1/memory/search", params=wanted),
        await rest.http.post("/v1/memory/search", json=wanted),
    ]
    assert [answer.status_code for answer in answers] == [400, 400]


async def test_a_retry_from_before_there_were_users_is_known(server: RunningServer, rows: Rows) -> None:
    """Its digest is as it was, though a user is taken from its metadata now; another user is another body."""
    request_id = str(uuid4())
    request = of("u-7", request_id=request_id)
    first = await server.memory.IngestMessage(request)
    body = NewMessage("acme", "conv-1", "user", "I love Python", metadata={"user_id": "u-7"})
    # The SHA-256 of what it was made of: conversation, role, name, content, metadata, importance and time.
    digest = "2673fd81e87788c5afb460c4cce9ef1b9010b193e68a50e2a9a298bcf4c7972b"
    assert rows("select encode(body_digest, 'hex') from idempotency_keys") == [(body_digest(body).hex(),)]
    assert body_digest(body).hex() == digest
    assert (await server.memory.IngestMessage(request)).id == first.id
    for other in (of("u-7", request_id=request_id, user_id="u-7"), of("u-8", request_id=request_id)):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.memory.IngestMessage(other)
        assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert rows("select user_id from messages") == [("u-7",)]


async def test_a_user_has_the_same_memory_as_a_tenant_of_their_own(server: RunningServer) -> None:
    """Hits of one user among many are those of a tenant that holds only theirs, in the same order."""
    texts = [f"{animal} number {n}" for n in range(8) for animal in ("cat", "dog", "quetzal")]
    everybody = [message(text, user_id=f"u-{n % 3}") for n, text in enumerate(texts)]
    alone = [message(text, tenant_id="alone") for n, text in enumerate(texts) if n % 3 == 1]
    for batch in (everybody, alone):
        await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch))
    mine = await found(server, query="dog 3", user_id="u-1")
    apart = await found(server, query="dog 3", tenant_id="alone")
    assert [hit.content for hit in mine] == [hit.content for hit in apart]
    assert [hit.similarity for hit in mine] == [hit.similarity for hit in apart]


async def test_several_servers_agree_on_the_user(start_rest: StartRest, start_server: StartServer) -> None:
    """Concurrent single calls of many users are committed together, and each keeps its own."""
    async with start_server() as one, start_server() as two:
        sent = [message(f"by {n}", user_id=f"u-{n}") for n in range(60)]
        stored = await asyncio.gather(
            *((one, two)[n % 2].memory.IngestMessage(request) for n, request in enumerate(sent))
        )
        assert [m.user_id for m in stored] == [f"u-{n}" for n in range(60)]
        for n in (0, 1, 59):
            assert [UUID(hit.message_id) for hit in await found(two, user_id=f"u-{n}")] == [UUID(stored[n].id)]

"""What was archived after a moment is live in every look at that moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import grpc
import pytest

from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import context_pb2, listing_pb2, policy_pb2, policy_service_pb2, revision_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import retention_pb2 as tried
from tests.conftest import RunningRest, RunningServer

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]
TEXTS = ("my boat is called Swan", "she lies in Trieste", "the boat needs paint", "paint it red")


async def told(server: RunningServer) -> list[str]:
    """A conversation; the ids of its messages."""
    requests = [
        pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content=text, user_id="u")
        for text in TEXTS
    ]
    stored = await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=requests))
    return [one.id for one in stored.messages]


async def swept(server: RunningServer) -> int:
    """Archives all that is not pinned."""
    strict = policy_pb2.RetentionPolicy(importance_threshold=1)
    await server.policy.SetTenantPolicy(policy_service_pb2.SetTenantPolicyRequest(tenant_id="acme", retention=strict))
    run = admin.RunRetentionRequest(tenant_id="acme", actions=["archive"])
    return int((await server.admin.RunRetention(run)).archived)


async def looks(server: RunningServer, moment: datetime) -> list[bytes]:
    """What every read of a moment answers, byte for byte."""
    answers = []
    for ranking in ("semantic", "hybrid"):
        for narrow in ({}, {"conversation_id": "c"}, {"filter": "user_id = u"}, {"candidate_limit": 3}):
            search = pb.SearchMemoriesRequest(
                tenant_id="acme", query="boat paint", ranking=ranking, neighbours=1, **narrow
            )
            search.as_of.FromDatetime(moment)
            answers.append((await server.memory.SearchMemories(search)).SerializeToString(deterministic=True))
    context = context_pb2.BuildContextRequest(tenant_id="acme", query="boat paint", user_id="u", conversation_id="c")
    context.as_of.FromDatetime(moment)
    answers.append((await server.memory.BuildContext(context)).SerializeToString(deterministic=True))
    return answers


async def test_a_sweep_changes_no_answer_about_the_time_before_it(server: RunningServer, rows: Rows) -> None:
    ids = await told(server)
    change = revision_pb2.UpdateMessageRequest(message_id=ids[2], tenant_id="acme", content="the boat has new paint")
    then = rows("select clock_timestamp()")[0][0]
    before = await looks(server, then)
    assert await swept(server) == 4
    assert await looks(server, then) == before
    await server.memory.UpdateMessage(change)  # of the archived message
    assert await looks(server, then) == before
    after = rows("select clock_timestamp()")[0][0]
    search = pb.SearchMemoriesRequest(tenant_id="acme", query="boat paint")
    search.as_of.FromDatetime(after)
    assert (await server.memory.SearchMemories(search)).total == 0, "archived by then"
    search.include_archived = True
    hits = {hit.message_id: hit for hit in (await server.memory.SearchMemories(search)).items}
    assert all(hit.HasField("archived_at") for hit in hits.values())
    assert hits[ids[2]].content == "the boat has new paint"


async def test_a_simulation_of_the_past_looks_at_messages_as_they_were(server: RunningServer, rows: Rows) -> None:
    ids = await told(server)
    then = rows("select clock_timestamp()")[0][0]
    strict = policy_pb2.RetentionPolicy(importance_threshold=1)
    wanted = tried.SimulateRetentionRequest(tenant_id="acme", retention=strict, sample_size=10)
    wanted.as_of.FromDatetime(then)
    before = await server.admin.SimulateRetention(wanted)
    assert (before.archived, before.deleted, before.kept) == (4, 0, 0)
    assert await swept(server) == 4
    await server.memory.UpdateMessage(
        revision_pb2.UpdateMessageRequest(message_id=ids[0], tenant_id="acme", pinned=True)
    )
    assert await server.admin.SimulateRetention(wanted) == before
    wanted.ClearField("as_of")
    now = await server.admin.SimulateRetention(wanted)
    assert (now.archived, now.kept, len(now.archived_sample)) == (0, 0, 0), "by now all are in the archive"


async def test_messages_are_shown_and_listed_as_they_were(rest: RunningRest, rows: Rows) -> None:
    server = rest.server
    ids = await told(server)
    then = rows("select clock_timestamp()")[0][0]
    request = listing_pb2.ListMessagesRequest(tenant_id="acme", filter='metadata.mood = "calm"', include_total=True)
    assert (await server.memory.ListMessages(request)).total_size == 0
    whole = listing_pb2.ListMessagesRequest(tenant_id="acme", page_size=3, include_total=True)
    whole.as_of.FromDatetime(then)
    before = await server.memory.ListMessages(whole)
    change = revision_pb2.UpdateMessageRequest(message_id=ids[0], tenant_id="acme", content="she is called Gull")
    change.metadata.update({"mood": "calm"})
    change.expires_at.FromDatetime(then + timedelta(days=1))
    await server.memory.UpdateMessage(change)
    assert await swept(server) == 4
    rows("update messages set expires_at = clock_timestamp() where id = %s", ids[0])  # its end has come
    await server.memory.IngestMessage(
        pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content="later")
    )
    assert await server.memory.ListMessages(whole) == before
    assert ([one.content for one in before.messages], before.total_size) == (list(TEXTS[:3]), 4)
    whole.page_token = before.next_page_token
    assert [one.id for one in (await server.memory.ListMessages(whole)).messages] == ids[3:]
    # A filter looks at what was so then.
    request.as_of.FromDatetime(then)
    assert (await server.memory.ListMessages(request)).total_size == 0
    get = pb.GetMessageRequest(message_id=ids[0], tenant_id="acme")
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await server.memory.GetMessage(get)
    assert gone.value.code() is grpc.StatusCode.NOT_FOUND, "it has expired"
    get.as_of.FromDatetime(then)
    assert await server.memory.GetMessage(get) == before.messages[0]
    moment = then.isoformat().replace("+00:00", "Z")
    shown = await rest.http.get(f"/v1/messages/{ids[0]}", params={"tenant_id": "acme", "as_of": moment})
    assert (shown.status_code, shown.json()["content"]) == (200, TEXTS[0])
    early = {"tenant_id": "acme", "as_of": "2020-01-01T00:00:00Z"}
    assert (await rest.http.get(f"/v1/messages/{ids[0]}", params=early)).status_code == 404
    assert (await rest.http.get("/v1/messages", params=early)).json()["messages"] == []
    unsaid = await rest.http.get(f"/v1/messages/{ids[0]}", params={"as_of": moment})
    assert unsaid.status_code == 400
    assert "tenant_id" in unsaid.text

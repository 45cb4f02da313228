"""Export and Import: a memory leaves, and comes back as it was."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import numpy as np
import psycopg
import pytest

from memory_grpc.filtering import EVERYTHING, where
from memory_grpc.operations.transfer import export as export_module
from memory_grpc.store import transfer as transfer_store
from memory_grpc.store.database import Database
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import key_service_pb2 as keys
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_service_pb2 as policy
from memory_layer.v1 import revision_pb2 as revision
from memory_layer.v1 import transfer_service_pb2 as transfer
from tests.cli import Rows
from tests.conftest import RunningRest, RunningServer, StartServer
from tests.integration.test_ingest import eventually, message

pytestmark = pytest.mark.asyncio

LATER = datetime(2999, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 12, 31, tzinfo=UTC)


async def exported(server: RunningServer, tenant_id: str = "acme", **asked: Any) -> list[transfer.TransferRecord]:
    return [one async for one in server.transfer.Export(transfer.ExportRequest(tenant_id=tenant_id, **asked))]


def messages(records: list[transfer.TransferRecord]) -> list[transfer.TransferMessage]:
    return [record.message for record in records if record.HasField("message")]


async def imported(server: RunningServer, sent: list[transfer.TransferMessage]) -> transfer.ImportResponse:
    return await server.transfer.Import(transfer.ImportRequest(tenant_id="acme", messages=sent))


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value


async def fill(server: RunningServer, rows: Rows) -> None:
    """Messages of two tenants in every state that there is: pinned, expiring, expired, archived, of users, long."""
    said = [f"turn {number} about {subject}" for number, subject in enumerate(("boats", "bread", "bees", "bells") * 3)]
    for number, text in enumerate(said):
        request = message(text, conversation_id=f"c-{number % 3}", role=("user", "assistant")[number % 2])
        request.created_at.FromDatetime(datetime(2026, 1, 1, 12, number, 0, 123456, tzinfo=UTC))
        request.metadata.update({"n": number, "share": 0.5, "nested": {"b": [1, None], "a": "x"}})
        if number % 2:
            request.user_id, request.name = f"u-{number}", "Ann"
        await server.memory.IngestMessage(request)
    await server.memory.IngestMessage(message("word " * 2000, language="nl"))
    await server.memory.IngestMessage(message("theirs", tenant_id="other"))
    rows("update messages set pinned = true where content like 'turn 1 %%'")
    ((updated,),) = rows("select id::text from messages where content like 'turn 5 %%'")
    for changes in (
        {"content": "turn 5 about badgers"},
        {"content": "turn 5 about bats", "name": "Bea", "pinned": True},
    ):
        await server.memory.UpdateMessage(
            revision.UpdateMessageRequest(message_id=updated, tenant_id="acme", update_mask=list(changes), **changes)
        )
    rows("update messages set expires_at = %s where content like 'turn 2 %%'", LATER)
    rows("update messages set expires_at = now() - interval '1 day' where content like 'turn 3 %%'")
    rows(
        "update message_embeddings e set expires_at = m.expires_at from messages m "
        "where m.id = e.message_id and m.expires_at is not null"
    )
    await server.policy.SetTenantPolicy(
        policy.SetTenantPolicyRequest(
            tenant_id="acme", retention={"max_age_days": 1, "importance_threshold": 0.11}, ranking="hybrid"
        )
    )


async def revisions(server: RunningServer, message_id: str) -> list[revision.Revision]:
    request = revision.ListRevisionsRequest(message_id=message_id, tenant_id="acme")
    found = list((await server.memory.ListRevisions(request)).revisions)
    for one in found:
        one.message.ClearField("updated_at")
    return found


async def search(server: RunningServer, as_of: datetime = NOW, **asked: Any) -> pb.SearchMemoriesResponse:
    asked = {"tenant_id": "acme", "query": "turn about bread and bees", "top_k": 50, "include_archived": True} | asked
    request = pb.SearchMemoriesRequest(**asked)
    request.as_of.FromDatetime(as_of)
    return await server.memory.SearchMemories(request)


async def everything(server: RunningServer) -> list[pb.SearchMemoriesResponse]:
    """Answers by both rankings, of a user, and of before what was said was updated."""
    past = {"as_of": datetime(2026, 2, 1, tzinfo=UTC), "query": "turn 5 about bread"}
    return [
        await search(server),
        await search(server, ranking="semantic"),
        await search(server, user_id="u-5"),
        await search(server, **past),
        await search(server, **past, ranking="semantic"),
    ]


@pytest.mark.parametrize("with_embeddings", [True, False])
async def test_a_memory_comes_back_as_it_was(
    start_server: StartServer, rows: Rows, other_dsn: str, with_embeddings: bool
) -> None:
    asked = {"include_embeddings": with_embeddings, "include_policy": True}
    async with start_server() as server:
        await fill(server, rows)
        done = await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
        assert done.archived > 0
        before = await exported(server, **asked)
        # Erased, as a sweep does: until then its words count in the hybrid ranking.
        rows("delete from messages where expires_at <= now()")
        answers = await everything(server)
        (bats,) = [one for one in messages(before) if one.content == "turn 5 about bats"]
        history = await revisions(server, bats.id)
    assert len(messages(before)) == 12, "all but the one that has expired"
    assert before[0].header == transfer.TransferHeader(version=1, tenant_id="acme", has_embeddings=with_embeddings)
    assert before[1].policy.retention.max_age_days == 1
    assert [one.id for one in messages(before)] == sorted(one.id for one in messages(before))
    assert all(one.HasField("embedding") is with_embeddings for one in messages(before))
    assert {one.pinned for one in messages(before)} == {True, False}
    assert {one.language for one in messages(before)} == {"", "nl"}

    async with start_server(other_dsn) as server:
        result = await imported(server, messages(before))
        assert (result.stored, result.pending) == (12, 0 if with_embeddings else 12)
        await server.policy.SetTenantPolicy(
            policy.SetTenantPolicyRequest(
                tenant_id="acme", retention=before[1].policy.retention, ranking=before[1].policy.ranking
            )
        )
        with psycopg.connect(other_dsn) as connection:
            await eventually(
                lambda: connection.execute("select count(*) from embedding_jobs").fetchone() == (0,), seconds=30
            )
        again = await exported(server, **asked)
        assert [one.SerializeToString(deterministic=True) for one in again] == [
            one.SerializeToString(deterministic=True) for one in before
        ]
        after = await everything(server)
        assert await revisions(server, bats.id) == history
    assert [one.SerializeToString(deterministic=True) for one in after] == [
        one.SerializeToString(deterministic=True) for one in answers
    ]
    assert len(answers[0].items) == 12
    assert len(history) == 2
    assert answers[4].items[0].content == "turn 5 about bread"


async def test_each_message_is_stored_once_and_what_is_there_stays(server: RunningServer, rows: Rows) -> None:
    for text in ("one", "two", "three"):
        await server.memory.IngestMessage(message(text))
    sent = messages(await exported(server))
    rows("delete from messages where content = 'one'")
    rows("update messages set archived_at = now(), importance = 0.1 where content = 'two'")
    sent[2].content = "another"
    result = await imported(server, sent)
    assert (result.stored, list(result.repeated_indexes), list(result.conflicting_indexes)) == (1, [1], [2])
    assert rows("select content, importance = 0.1 from messages order by content") == [
        ("one", False),
        ("three", False),
        ("two", True),
    ]
    again = await imported(server, sent)
    assert (again.stored, list(again.repeated_indexes), list(again.conflicting_indexes)) == (0, [0, 1], [2])


async def test_what_was_erased_stays_erased(server: RunningServer, rows: Rows) -> None:
    for text in ("one", "two"):
        await server.memory.IngestMessage(message(text))
    sent = messages(await exported(server))
    await server.memory.DeleteMessage(pb.DeleteMessageRequest(tenant_id="acme", message_id=sent[0].id))
    rows("delete from messages where content = 'two'")
    for stored, repeated in ((1, []), (0, [1])):
        result = await imported(server, sent)
        assert (result.stored, list(result.erased_indexes)) == (stored, [0])
        assert list(result.repeated_indexes) == repeated
    assert rows("select content from messages") == [("two",)]


async def test_an_import_and_deletions_at_once_leave_nothing_that_was_erased(server: RunningServer, rows: Rows) -> None:
    for number in range(30):
        await server.memory.IngestMessage(message(f"turn {number}"))
    sent = messages(await exported(server))

    async def delete(one: transfer.TransferMessage) -> None:
        await server.memory.DeleteMessage(pb.DeleteMessageRequest(tenant_id="acme", message_id=one.id))

    await asyncio.gather(*map(delete, sent), *(imported(server, sent[n:] + sent[:n]) for n in range(0, 30, 5)))
    assert rows("select count(*) from messages") == [(0,)]
    assert rows("select count(*) from embedding_jobs") == [(0,)]


async def test_concurrent_imports_of_the_same_messages_store_each_once(server: RunningServer, rows: Rows) -> None:
    for number in range(20):
        await server.memory.IngestMessage(message(f"turn {number}"))
    sent = messages(await exported(server, include_embeddings=True))
    rows("delete from messages")
    results = await asyncio.gather(*(imported(server, sent[::step]) for step in (1, -1, 1, -1)))
    assert sum(result.stored for result in results) == 20
    assert rows("select count(*) from messages") == [(20,)]
    assert all(len(result.repeated_indexes) + result.stored == 20 for result in results)


async def test_all_or_nothing(server: RunningServer, rows: Rows) -> None:
    await server.memory.IngestMessage(message("one"))
    (sent,) = messages(await exported(server, include_embeddings=True))
    rows("delete from messages")
    good = transfer.TransferMessage.FromString(sent.SerializeToString())
    good.id = str(uuid4())

    def broken(**fields: Any) -> transfer.TransferMessage:
        other = transfer.TransferMessage.FromString(sent.SerializeToString())
        other.MergeFrom(transfer.TransferMessage(**fields))
        return other

    ahead = broken()
    ahead.created_at.FromDatetime(datetime.now(UTC) + timedelta(days=2))
    short, nan = broken(), broken()
    short.embedding.windows[0] = b"\0"
    nan.embedding.windows[0] = np.full(len(sent.embedding.windows[0]) // 2, np.nan, "<f2").tobytes()
    untimed = broken()
    untimed.ClearField("created_at")
    was = transfer.TransferRevision(revision=1, content="was", valid_from=sent.created_at, valid_to=sent.created_at)
    twice_first = broken(revision=3, revisions=[was, was])
    was.valid_to.seconds -= 1
    backwards = broken(revision=2, revisions=[was])
    faults = [
        ([good, ahead], "messages[1].created_at: is more than a day in the future"),
        ([good, short], "messages[1].embedding.windows[0]: must have"),
        ([good, nan], "messages[1].embedding.windows: must be vectors of length 1"),
        ([good, good], "messages[1].id: is the same as that of messages[0]"),
        ([good, untimed], "messages[1].created_at: is required"),
        ([good, twice_first], "messages[1].revisions[0].revision: must be lower than that of the next one"),
        ([good, backwards], "messages[1].revisions[0].valid_to: must not be before valid_from"),
        ([good, broken(role="wizard")], "messages[1].role: must be one of"),
        ([good, broken(importance=2)], "messages[1].importance: must be at most 1"),
    ]
    for batch, fault in faults:
        error = await refused(imported(server, batch))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (error.details() or "").startswith(fault), error.details()
    assert rows("select count(*) from messages") == [(0,)]


async def test_vectors_of_another_model_are_made_anew(server: RunningServer, rows: Rows) -> None:
    await server.memory.IngestMessage(message("the quetzal sang"))
    (sent,) = messages(await exported(server, include_embeddings=True))
    rows("delete from messages")
    sent.embedding.model = "another@1/fp32/384"
    assert (await imported(server, [sent])).pending == 1
    await eventually(lambda: rows("select embedding_status from messages") == [("completed",)], seconds=30)


async def test_an_export_goes_on_after_a_message(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "_PAGE", 3)
    for number in range(10):
        await server.memory.IngestMessage(message(f"turn {number}", user_id=f"u-{number % 2}"))
    whole = await exported(server)
    assert [one.content for one in messages(whole)] == [f"turn {number}" for number in range(10)]
    for number in range(10):
        rest = await exported(server, after_id=messages(whole)[number].id)
        assert rest == whole[number + 2 :]


async def test_an_export_by_a_filter(server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_module, "_PAGE", 3)
    for number in range(10):
        await server.memory.IngestMessage(message(f"turn {number}", user_id=f"u-{number % 5}"))
    rows("update messages set archived_at = now() where content = 'turn 2'")
    found = await exported(server, filter='user_id = "u-2"')
    assert found[0].header.filter == 'user_id = "u-2"'
    assert [one.content for one in messages(found)] == ["turn 2", "turn 7"]
    live = await exported(server, filter='user_id = "u-2" AND archived = false')
    assert [one.content for one in messages(live)] == ["turn 7"]
    assert len(await exported(server, "nobody")) == 1
    error = await refused(exported(server, filter="user_id ="))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_pages_of_long_texts_have_fewer_messages(
    server: RunningServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the reading of one would hold everybody up."""
    monkeypatch.setattr(transfer_store, "PAGE_BYTES", 1_000)
    lengths = [400, 400, 400, 400, 5_000, 5_000, *[10] * 20]
    sent = [message(f"{number} ".ljust(length, "x")) for number, length in enumerate(lengths)]
    await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=sent))
    pages: list[list[int]] = []
    last: UUID | None = UUID(int=0)
    async with database.transaction(tenant="acme") as tx:
        while last is not None:
            found, last = await transfer_store.page(tx, "acme", where(EVERYTHING, "m"), last, 8)
            pages.append([len(one.content) for one in found])
    assert pages == [[400, 400, 400], [400, 5_000], [5_000], [10] * 8, [10] * 8, [10] * 4, []]
    assert [one.content for one in messages(await exported(server))] == [one.content for one in sent]


async def test_a_slow_reader_holds_no_transaction_open(server: RunningServer, rows: Rows) -> None:
    text = "word " * 18_000
    sent = [message(f"{number} {text}", embed_later=True) for number in range(150)]
    for number in range(0, 150, 25):
        await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=sent[number : number + 25]))
    call = server.transfer.Export(transfer.ExportRequest(tenant_id="acme"))
    assert (await call.read()).header.tenant_id == "acme"
    assert (await call.read()).message.content.startswith("0 ")

    def idle() -> bool:
        return rows("select count(*) from pg_stat_activity where state = 'idle in transaction'") == [(0,)]

    await eventually(idle, seconds=30)
    rest = 0
    while await call.read() is not grpc.aio.EOF:
        rest += 1
    assert rest == 149


async def test_a_key_that_is_revoked_ends_its_exports(start_server: StartServer) -> None:
    text = "word " * 18_000
    async with start_server() as server:
        for start in range(0, 300, 25):
            batch = [message(f"{number} {text}", embed_later=True) for number in range(start, start + 25)]
            await server.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch))
        root = await server.key.CreateApiKey(keys.CreateApiKeyRequest(label="root", role="admin", all_tenants=True))
        as_root = (("x-api-key", root.key),)
        made = await server.key.CreateApiKey(
            keys.CreateApiKeyRequest(label="own", role="admin", tenant_ids=["acme"]), metadata=as_root
        )
        call = server.transfer.Export(transfer.ExportRequest(tenant_id="acme"), metadata=(("x-api-key", made.key),))
        assert (await call.read()).header.tenant_id == "acme"
        await server.key.RevokeApiKey(keys.RevokeApiKeyRequest(key_id=made.api_key.id), metadata=as_root)
        read = 0
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            while await call.read() is not grpc.aio.EOF:
                read += 1
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert read < 300


async def test_over_rest_an_export_is_lines(rest: RunningRest) -> None:
    for number in range(3):
        await rest.server.memory.IngestMessage(message(f"turn {number}", metadata={"n": number}))
    answer = await rest.http.get("/v1/admin/export", params={"tenant_id": "acme", "include_embeddings": "true"})
    assert answer.status_code == 200
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [list(line) for line in lines] == [["header"], ["message"], ["message"], ["message"]]
    assert [line["message"]["content"] for line in lines[1:]] == ["turn 0", "turn 1", "turn 2"]
    back = await rest.http.post(
        "/v1/admin/import", json={"tenant_id": "second", "messages": [line["message"] for line in lines[1:]]}
    )
    assert (back.status_code, back.json()) == (
        200,
        {
            "stored": 3,
            "repeated_indexes": [],
            "conflicting_indexes": [],
            "pending": 0,
            "erased_indexes": [],
            "ignored_revisions_indexes": [],
        },
    )
    bad = await rest.http.get("/v1/admin/export")
    assert bad.status_code == 400
    assert UUID(lines[1]["message"]["id"]).version == 7

"""Export and Import of messages that were updated often: no record is too long, and what they were comes back too."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import grpc
import psycopg
import pytest

from memory_grpc import positions
from memory_grpc.client import MemoryClient, types
from memory_grpc.client.streams import Resumption
from memory_grpc.domain.transfer import Rest
from memory_grpc.operations.transfer.export import Export
from memory_grpc.services import transfer_records
from memory_grpc.store import transfer as transfer_store
from memory_grpc.store import transfer_revisions
from memory_grpc.store.database import Database
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_service_pb2 as policy
from memory_layer.v1 import revision_pb2 as revision
from memory_layer.v1 import transfer_service_pb2 as transfer
from memory_layer.v1 import transfer_service_pb2_grpc as transfer_grpc
from tests.cli import Cli, Rows
from tests.conftest import RunningServer, StartServer, pool
from tests.integration.test_ingest import eventually, message
from tests.integration.test_transfer import exported, messages, refused, search

pytestmark = pytest.mark.asyncio

MIB = 2**20
Records = list[transfer.TransferRecord]


async def updated(server: RunningServer, text: Callable[[int], str], times: int, **first: Any) -> str:
    """A message that was updated so often; its id."""
    id_ = (await server.memory.IngestMessage(message(text(0), **first))).id
    for number in range(1, times + 1):
        await server.memory.UpdateMessage(
            revision.UpdateMessageRequest(
                message_id=id_, tenant_id="acme", update_mask=["content"], content=text(number)
            )
        )
    return id_


async def said(server: RunningServer) -> str:
    """A message that was updated eleven times, between others; its id."""
    await server.memory.IngestMessage(message("before"))
    id_ = await updated(server, lambda number: f"turn {number} about {'bread ' * (number % 4 * 20)}", 11)
    await updated(server, lambda number: f"once more {number}", 1)
    await server.memory.IngestMessage(message("after"))
    return id_


def short(monkeypatch: pytest.MonkeyPatch, record: int, read: int = 300, most: int = 3) -> None:
    """Records and reads of so many bytes, and reads of so many revisions."""
    monkeypatch.setattr(transfer_records, "_MOST_BYTES", record)
    monkeypatch.setattr(transfer_store, "PAGE_BYTES", read)
    monkeypatch.setattr(transfer_revisions, "_MOST", most)


async def imported(server: RunningServer, records: Records) -> list[transfer.ImportResponse]:
    """The answers to one call a record."""
    answers = []
    for record in records:
        request = transfer.ImportRequest(tenant_id="acme")
        if record.HasField("message"):
            request.messages.append(record.message)
        elif record.HasField("revisions"):
            request.revisions.append(record.revisions)
        else:
            continue
        answers.append(await server.transfer.Import(request))
    return answers


def as_bytes(records: Records) -> list[bytes]:
    return [record.SerializeToString(deterministic=True) for record in records]


def numbers(records: Records, message_id: str) -> list[int]:
    """Of the revisions of a message, in the order in which they came."""
    found = [one for m in messages(records) if m.id == message_id for one in m.revisions]
    found += [
        one
        for r in records
        if r.HasField("revisions") and r.revisions.message_id == message_id
        for one in r.revisions.revisions
    ]
    return [one.revision for one in found]


COUNTS = """select (select count(*) from message_revisions), (select count(*) from revision_lexemes),
(select count(*) from revision_embeddings), (select count(*) from message_lexemes),
(select count(*) from message_embeddings)"""


@pytest.mark.timeout(300)
async def test_a_history_of_many_megabytes_comes_in_records_that_a_client_takes_and_comes_back(
    start_server: StartServer, rows: Rows, other_dsn: str
) -> None:
    past = {"as_of": datetime(2026, 2, 1, tzinfo=UTC), "query": "turn 1 about bread"}
    async with start_server() as server:
        await server.memory.IngestMessage(message("before"))
        begun = {"created_at": datetime(2026, 1, 1, tzinfo=UTC)}
        id_ = await updated(server, lambda number: f"turn {number} about bread ".ljust(100_000, "🎉"), 30, **begun)
        await server.memory.IngestMessage(message("after"))
        async with grpc.aio.insecure_channel(server.grpc_address) as channel:  # with the limits that everybody has
            stub = transfer_grpc.TransferServiceStub(channel)
            request = transfer.ExportRequest(tenant_id="acme", include_embeddings=True)
            before = [record async for record in stub.Export(request)]
        found = await search(server, **past)
    assert sum(record.ByteSize() for record in before) > 10 * MIB
    assert max(record.ByteSize() for record in before) <= 2 * MIB + 16
    assert numbers(before, id_) == list(range(1, 31))
    counts = rows(COUNTS)
    async with start_server(other_dsn) as server:
        answers = await imported(server, before)
        assert [answer.stored for answer in answers] == [1, 1, *[0] * (len(answers) - 3), 1]
        assert not any(answer.ignored_revisions_indexes for answer in answers)
        again = await exported(server, include_embeddings=True)
        assert as_bytes(again) == as_bytes(before)
        assert (await search(server, **past)).items[0].content == found.items[0].content
    with psycopg.connect(other_dsn) as connection:
        assert connection.execute(COUNTS).fetchall() == counts


@pytest.mark.parametrize("with_embeddings", [True, False])
async def test_records_are_the_same_however_they_were_read(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, with_embeddings: bool
) -> None:
    id_ = await said(server)
    usual = await exported(server, include_embeddings=with_embeddings)
    assert len(messages(usual)) == len(usual) - 1 == 4, "what is short comes with its message"
    assert numbers(usual, id_) == list(range(1, 12))
    assert not any(one.more_revisions for one in messages(usual))
    for read, most in ((300, 3), (1, 1), (10_000, 2), (10, 100)):
        short(monkeypatch, 2 * MIB, read, most)
        assert await exported(server, include_embeddings=with_embeddings) == usual
    short(monkeypatch, 3_000)
    divided = await exported(server, include_embeddings=with_embeddings)
    for read, most in ((1, 1), (10_000, 2), (10, 100)):
        short(monkeypatch, 3_000, read, most)
        assert await exported(server, include_embeddings=with_embeddings) == divided
    assert len(divided) > len(usual) + 1 or not with_embeddings
    assert numbers(divided, id_) == list(range(1, 12))


async def test_an_export_goes_on_after_any_record(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    short(monkeypatch, 500)
    id_ = await said(server)
    whole = await exported(server)
    assert len([one for one in whole if one.HasField("revisions")]) > 3
    for reached in range(1, len(whole) + 1):
        resumption = Resumption(transfer.ExportRequest(tenant_id="acme"))
        assert all(resumption.takes(record) for record in whole[:reached])
        rest = [one async for one in server.transfer.Export(resumption.request)]
        if reached > 1:
            assert rest == whole[reached:]
    # What the message becomes meanwhile belongs to the next export.
    resumption = Resumption(transfer.ExportRequest(tenant_id="acme"))
    reached = next(place for place, one in enumerate(whole) if one.HasField("revisions"))
    for record in whole[: reached + 1]:
        resumption.takes(record)
    await server.memory.UpdateMessage(
        revision.UpdateMessageRequest(message_id=id_, tenant_id="acme", update_mask=["content"], content="another")
    )
    assert [one async for one in server.transfer.Export(resumption.request)] == whole[reached + 1 :]
    # Where it is gone, so is the rest of what it was, and the record says that nothing follows.
    await server.memory.DeleteMessage(pb.DeleteMessageRequest(tenant_id="acme", message_id=id_))
    rest = [one async for one in server.transfer.Export(resumption.request)]
    assert rest[0].revisions == transfer.TransferRevisions(message_id=id_, message_revision=12)
    assert [one.message.content for one in rest[1:]] == ["once more 1", "after"]


async def test_a_copy_that_is_behind_ends_no_history(
    server: RunningServer, database: Database, other_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message was read from one copy, and what it was is asked of another, which does not have it yet."""
    short(monkeypatch, 500)
    id_ = await said(server)

    class Copies:
        def __init__(self, behind: Database) -> None:
            self._behind = behind
            self._reads = 0

        def transaction(self, **how: Any) -> Any:
            self._reads += 1
            is_behind = self._reads > 1 and positions.least() != positions.UNKNOWN
            return (self._behind if is_behind else database).transaction(**how)

    async with pool(other_dsn) as behind:
        export = Export(Copies(behind), 30.0)
        found = [one async for one in export("acme", None, None, with_vectors=False)]
    came = [
        was.revision.message.revision for one in found for was in one.revisions if str(was.revision.message.id) == id_
    ]
    assert came == list(range(1, 12))


async def test_half_a_place_is_refused(server: RunningServer) -> None:
    for asked, field in (
        ({"after_revision": 1, "before_revision": 2}, "after_id"),
        ({"after_id": str(uuid4()), "after_revision": 1}, "before_revision"),
        ({"after_id": str(uuid4()), "before_revision": 1}, "before_revision"),
    ):
        error = await refused(exported(server, **asked))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (error.details() or "").startswith(f"{field}: ")
    error = await refused(server.transfer.Import(transfer.ImportRequest(tenant_id="acme")))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_statement_reads_a_bounded_part_of_what_messages_were(
    server: RunningServer, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was updated often would otherwise take the memory of everybody."""
    monkeypatch.setattr(transfer_store, "PAGE_BYTES", 1_000)
    ids = sorted([UUID(await updated(server, lambda number: f"{number}".ljust(400, "x"), 4)) for _ in range(3)])
    async with database.transaction(tenant="acme") as tx:
        there = await transfer_store.there(tx, "acme", ids)
        read = []
        wanted = {id_: (there[id_], Rest(0, 5)) for id_ in ids}
        for _ in range(20):
            found, cut_at = await transfer_revisions.of_messages(tx, "acme", wanted)
            portion = [(id_, was.message.revision) for id_, revisions in found.items() for was in revisions]
            assert len(portion) <= 3
            read += portion
            if cut_at is None:
                break
            wanted = {id_: (there[id_], Rest(0, 5)) for id_ in ids if id_ >= cut_at}
            wanted[cut_at] = there[cut_at], Rest(portion[-1][1], 5)
        assert read == [(id_, number) for id_ in ids for number in range(1, 5)]


async def test_further_revisions_are_stored_once(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, 500)
    await said(server)
    whole = await exported(server)
    counts = rows(COUNTS)
    rows("delete from messages")
    for reached in range(len(whole) + 1):  # cut off after any of them, and begun anew
        for answer in await imported(server, whole[:reached]):
            assert not answer.ignored_revisions_indexes
    assert as_bytes(await exported(server)) == as_bytes(whole)
    await eventually(lambda: rows(COUNTS) == counts)
    # All in one call.
    rows("delete from messages")
    further = [one.revisions for one in whole if one.HasField("revisions")]
    request = transfer.ImportRequest(tenant_id="acme", messages=messages(whole), revisions=further)
    for stored in (4, 0):
        assert (await server.transfer.Import(request)).stored == stored
        assert as_bytes(await exported(server)) == as_bytes(whole)
        await eventually(lambda: rows(COUNTS) == counts)


async def test_a_record_has_no_more_revisions_than_are_embedded_in_a_call(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer_records, "_MOST_REVISIONS", 4)
    id_ = await said(server)
    whole = await exported(server)
    holders = [one.revisions if one.HasField("revisions") else one.message for one in whole[1:]]
    assert [len(one.revisions) for one in holders if one.revisions] == [4, 4, 3, 1]
    assert numbers(whole, id_) == list(range(1, 12))


async def test_what_another_export_has_in_the_message_fills_the_hole_of_one_that_was_cut_off(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, 1_500)
    id_ = await said(server)
    other = await exported(server)
    short(monkeypatch, 500)
    whole = await exported(server)
    counts = rows(COUNTS)
    own, theirs = (next(len(m.revisions) for m in messages(one) if m.id == id_) for one in (whole, other))
    assert own + 1 < theirs < 11
    rows("delete from messages")
    await imported(server, whole[: next(place for place, one in enumerate(whole) if one.HasField("revisions"))])
    for answer in await imported(server, other):
        assert not answer.ignored_revisions_indexes
    assert as_bytes(await exported(server)) == as_bytes(whole)
    await eventually(lambda: rows(COUNTS) == counts)


async def test_the_client_passes_long_histories_on(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    short(monkeypatch, 500)
    await said(server)

    def walk() -> tuple[list[types.TransferRecord], list[types.TransferRecord]]:
        with MemoryClient(server.grpc_address, tenant_id="acme") as memory:
            records = list(memory.export())
            memory.import_(
                tenant_id="copy",
                messages=[record.message for record in records if record.message],
                revisions=[record.revisions for record in records if record.revisions],
            )
            return records, list(memory.export(tenant_id="copy"))

    records, again = await asyncio.to_thread(walk)
    assert sum(record.revisions is not None for record in records) > 3
    assert again[1:] == records[1:]


async def test_further_revisions_of_no_message_or_of_another_history_are_ignored(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, 500)
    id_ = await said(server)
    whole = await exported(server)
    further = [one.revisions for one in whole if one.HasField("revisions")]
    (own,) = [one for one in messages(whole) if one.id == id_]

    async def ignored(*sent: transfer.TransferRevisions, **others: Any) -> list[int]:
        request = transfer.ImportRequest(tenant_id="acme", revisions=sent, **others)
        before = rows("select count(*) from message_revisions where message_id = %s", UUID(id_))
        found = list((await server.transfer.Import(request)).ignored_revisions_indexes)
        if len(found) == len(sent):
            assert rows("select count(*) from message_revisions where message_id = %s", UUID(id_)) == before
        return found

    def changed(**fields: Any) -> transfer.TransferRevisions:
        other = transfer.TransferRevisions.FromString(further[0].SerializeToString())
        for name, value in fields.items():
            setattr(other, name, value)
        return other

    assert await ignored(*further) == [], "all of them are there"
    shifted = changed()
    shifted.revisions[0].valid_from.seconds -= 1
    assert await ignored(shifted) == [0], "the same number, and another time"
    assert await ignored(changed(message_revision=13)) == [0], "the message is at an earlier state"
    assert await ignored(changed(message_id=str(uuid4()))) == [0], "no such message"
    rows("delete from message_revisions where message_id = %s and revision > %s", UUID(id_), len(own.revisions))
    await server.memory.UpdateMessage(
        revision.UpdateMessageRequest(message_id=id_, tenant_id="acme", update_mask=["content"], content="other here")
    )
    assert await ignored(*further) == list(range(len(further))), "its times go over that of the update"
    # Another message under the id, in the same call.
    rows("delete from messages")
    await imported(server, whole[: whole.index(next(one for one in whole if one.HasField("revisions")))])
    rows("update messages set content = 'another' where id = %s", UUID(id_))
    assert await ignored(*further, messages=[own]) == list(range(len(further)))
    # Erased.
    await server.memory.DeleteMessage(pb.DeleteMessageRequest(tenant_id="acme", message_id=id_))
    assert await ignored(*further) == list(range(len(further)))
    answer = await server.transfer.Import(transfer.ImportRequest(tenant_id="acme", messages=[own], revisions=further))
    assert (list(answer.erased_indexes), len(answer.ignored_revisions_indexes)) == ([0], len(further))
    assert rows("select count(*) from message_revisions where message_id = %s", UUID(id_)) == [(0,)]


async def test_imports_of_further_revisions_and_a_deletion_at_once_leave_each_once_or_none(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, 500)
    id_ = await said(server)
    whole = await exported(server)
    counts = rows(COUNTS)
    rows("delete from messages")
    first = next(place for place, one in enumerate(whole) if one.HasField("revisions"))
    await imported(server, whole[:first])
    await asyncio.gather(*(imported(server, whole[first:]) for _ in range(4)))
    await eventually(lambda: rows(COUNTS) == counts)
    assert as_bytes(await exported(server)) == as_bytes(whole)
    rows("delete from messages")
    await imported(server, whole[:first])
    delete = server.memory.DeleteMessage(pb.DeleteMessageRequest(tenant_id="acme", message_id=id_))
    await asyncio.gather(imported(server, whole[first:]), delete, imported(server, whole[first:]))
    assert rows("select count(*) from message_revisions where message_id = %s", UUID(id_)) == [(0,)]


async def test_further_revisions_out_of_order_are_refused(server: RunningServer) -> None:
    def was(number: int, begin: int, end: int) -> transfer.TransferRevision:
        one = transfer.TransferRevision(revision=number, content="was")
        one.valid_from.seconds, one.valid_to.seconds = begin, end
        return one

    for revisions, fault in (
        ([was(2, 1, 2), was(1, 2, 3)], "revisions[0].revisions[0].revision: must be lower than that of the next one"),
        ([was(1, 1, 2), was(4, 2, 3)], "revisions[0].revisions[1].revision: must be lower than that of the next one"),
        ([was(1, 2, 1)], "revisions[0].revisions[0].valid_to: must not be before valid_from"),
        (
            [was(1, 1, 3), was(2, 2, 4)],
            "revisions[0].revisions[0].valid_to: must not be after valid_from of the next one",
        ),
        ([was(1, 1, 2**33)], "revisions[0].revisions[0].valid_to: is more than a day in the future"),
    ):
        one = transfer.TransferRevisions(message_id=str(uuid4()), message_revision=4, revisions=revisions)
        error = await refused(server.transfer.Import(transfer.ImportRequest(tenant_id="acme", revisions=[one])))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert (error.details() or "").startswith(fault), error.details()


async def test_further_revisions_count_for_the_quota(
    server: RunningServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, 500)
    await said(server)
    whole = await exported(server)
    rows("delete from messages")
    first = next(place for place, one in enumerate(whole) if one.HasField("revisions"))
    await server.policy.SetTenantPolicy(
        policy.SetTenantPolicyRequest(tenant_id="acme", quota={"max_bytes": sum(map(len, as_bytes(whole[:first])))})
    )
    await imported(server, whole[:first])
    counts = rows(COUNTS)
    error = await refused(imported(server, whole[first:]))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert rows(COUNTS)[0][0] - counts[0][0] < 11


async def test_a_file_that_was_cut_off_goes_on_within_a_history_and_comes_back(
    server: RunningServer, cli: Cli, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    short(monkeypatch, 500)
    to_server = ("--address", server.grpc_address)
    id_ = await said(server)
    done = await cli("export", "--tenant", "acme", *to_server)
    whole = done.out.encode()
    ends = [place + 1 for place, byte in enumerate(whole) if byte == 10]
    assert len(ends) > 8
    for cut in [end + more for end in ends[1:-1] for more in (0, 40)]:
        (cli.folder / "part.jsonl").write_bytes(whole[:cut])
        done = await cli("export", "--tenant", "acme", "--continue", "part.jsonl", *to_server)
        assert done.code == 0, done.err
        assert (cli.folder / "part.jsonl").read_bytes() == whole
    # A part is not imported as if it were all, nor what has a hole.
    lines = whole.splitlines(keepends=True)
    (cli.folder / "part.jsonl").write_bytes(b"".join(lines[:4]))
    done = await cli("import", "part.jsonl", *to_server)
    assert (done.code, f"part.jsonl: revisions of message {id_} are missing at its end" in done.err) == (1, True)
    for hole in ([*lines[:3], *lines[-1:]], [*lines[:2], *lines[3:]]):
        (cli.folder / "part.jsonl").write_bytes(b"".join(hole))
        done = await cli("import", "part.jsonl", *to_server)
        assert (done.code, "part.jsonl: line " in done.err, "before it" in done.err) == (1, True, True), done.err
    rows("delete from messages")
    (cli.folder / "whole.jsonl").write_bytes(whole)
    for said_of in ("4 stored", "4 repeated"):
        done = await cli("import", "whole.jsonl", "--batch-size", "2", *to_server)
        assert (done.code, said_of in done.out) == (0, True), done.err + done.out
        assert (await cli("export", "--tenant", "acme", *to_server)).out.encode() == whole
    rows("update messages set content = 'another' where id = %s", UUID(id_))
    done = await cli("import", "whole.jsonl", "--batch-size", "2", *to_server)
    assert (done.code, "1 conflicting" in done.out, "ignored" in done.out) == (1, True, False)
    await server.memory.DeleteMessage(pb.DeleteMessageRequest(tenant_id="acme", message_id=id_))
    done = await cli("import", "whole.jsonl", "--batch-size", "2", *to_server)
    assert (done.code, "1 erased" in done.out, "ignored" in done.out) == (0, True, False), done.err + done.out

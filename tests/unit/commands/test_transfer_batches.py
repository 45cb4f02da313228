"""The lines of an export, in calls: no call brings more revisions than can be embedded while it lasts."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from memory_grpc.commands.importing.run import Options
from memory_grpc.commands.transfer.batches import batches
from memory_grpc.commands.transfer.records import written
from memory_layer.v1.transfer_service_pb2 import TransferHeader, TransferMessage, TransferRecord, TransferRevision


def message(number: int, revisions: int) -> TransferRecord:
    one = TransferMessage(
        id=str(UUID(int=number)), conversation_id="c", role="user", content="now", revision=revisions + 1
    )
    one.created_at.seconds = 1
    for past in range(1, revisions + 1):
        was = TransferRevision(revision=past, content="was")
        was.valid_from.seconds, was.valid_to.seconds = past, past + 1
        one.revisions.append(was)
    return TransferRecord(message=one)


def test_calls_are_bounded_by_messages_and_by_revisions(tmp_path: Path) -> None:
    header = TransferRecord(header=TransferHeader(version=1, tenant_id="acme"))
    histories = [0, 0, 0, 200, 50, 10, 256, 0, 1, 0, 0, 0]
    file = tmp_path / "acme.jsonl"
    lines = [header, *(message(number, count) for number, count in enumerate(histories, start=1))]
    file.write_text("".join(f"{written(line)}\n" for line in lines), encoding="utf-8")
    found = [[len(line.record.message.revisions) for line in batch] for batch in batches(file, Options(batch_size=4))]
    assert found == [[0, 0, 0, 200], [50, 10], [256, 0], [1, 0, 0, 0]]

"""The records of an export: what a message was goes with it as far as a record takes it, and behind it where not."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from memory_grpc.domain.transfer import FurtherRevisions, Rest, Transferred
from memory_grpc.errors import InvalidInput
from memory_grpc.offload import by_size
from memory_grpc.services import convert_transfer
from memory_grpc.services.answers import told
from memory_layer.v1 import transfer_service_pb2 as pb

# Half of what a client of gRPC takes unless it is told otherwise.
_MOST_BYTES = 2 * 2**20
# Who imports a record without vectors has them made while its call lasts.
_MOST_REVISIONS = 256
# A revision in a record: its tag and its length.
_FRAME_BYTES = 5
# What a record of revisions has around them.
_AROUND_BYTES = 80


def rest(request: pb.ExportRequest) -> Rest | None:
    """Where to go on within the history of a message; None for after it. Raises InvalidInput for half of a place."""
    given = [request.HasField(field) for field in ("after_revision", "before_revision")]
    if not any(given):
        return None
    if not all(given):
        raise InvalidInput.of("before_revision", "goes together with after_revision")
    if not request.HasField("after_id"):
        raise InvalidInput.of("after_id", "is required with after_revision")
    return Rest(request.after_revision, request.before_revision)


async def records(found: AsyncIterable[Transferred | FurtherRevisions]) -> AsyncIterator[pb.TransferRecord]:
    """Records of at most 2 MiB, or of one message or revision; so equal histories are equal records, however they were
    read."""
    record: pb.TransferRecord | None = None
    size = 0
    async for one in found:
        if isinstance(one, Transferred):
            record = await by_size(told([one.message]), convert_transfer.message, one)
            size = record.ByteSize() + _AROUND_BYTES
            place = str(one.message.id), one.message.revision
        elif record is None:
            place = str(one.message_id), one.message_revision
            record, size = _further(*place), _AROUND_BYTES
        holder = _holder(record)
        for was in one.revisions:
            revision = await by_size(told([was.revision.message]), convert_transfer.revision, was)
            more = revision.ByteSize() + _FRAME_BYTES
            is_begun = record.HasField("message") or len(holder.revisions) > 0
            if is_begun and (size + more > _MOST_BYTES or len(holder.revisions) == _MOST_REVISIONS):
                holder.more_revisions = True
                yield record
                record, size = _further(*place), _AROUND_BYTES
                holder = _holder(record)
            holder.revisions.append(revision)
            size += more
        if not one.more:
            yield record
            record = None


def _further(message_id: str, number: int) -> pb.TransferRecord:
    return pb.TransferRecord(revisions=pb.TransferRevisions(message_id=message_id, message_revision=number))


def _holder(record: pb.TransferRecord) -> pb.TransferMessage | pb.TransferRevisions:
    return record.message if record.HasField("message") else record.revisions

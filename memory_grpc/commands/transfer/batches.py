"""The lines of an export in the calls that import them; further revisions come directly after their message."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.run import Options
from memory_grpc.commands.transfer.records import Line, read

# Whose vectors are made while the call lasts, where the export has none.
_MOST_REVISIONS = 256


def batches(path: Path, options: Options) -> Iterator[list[Line]]:
    """Messages of one tenant and their further revisions, as many as a call takes; a policy by itself."""
    batch: list[Line] = []
    size = revisions = 0
    for line in read(path):
        holder = line.message or line.revisions
        if holder is None:
            if batch:
                yield batch
            batch, size, revisions = [], 0, 0
            if line.record.HasField("policy"):
                yield [line]
            continue
        more, past = holder.ByteSize(), len(holder.revisions)
        is_full = len(batch) >= options.batch_size or size + more > options.max_bytes
        if batch and (is_full or revisions + past > _MOST_REVISIONS):
            yield batch
            batch, size, revisions = [], 0, 0
        batch.append(line)
        size += more
        revisions += past
    if batch:
        yield batch


def history(path: Path, line: Line, unfinished: str) -> str:
    """The message that further revisions must follow, if any; ``unfinished`` is that before the line. Raises
    CommandError for a line that does not belong there."""
    of = line.revisions.message_id if line.revisions is not None else ""
    if of != unfinished:
        missing = f"revisions of message {unfinished}" if unfinished else "the message of these revisions"
        raise CommandError(f"{path.name}: line {line.number}: {missing} should come before it.")
    if line.message is not None:
        return line.message.id if line.message.more_revisions else ""
    return of if line.revisions is not None and line.revisions.more_revisions else ""

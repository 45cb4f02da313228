"""Brings the conversations that the service does not have yet into it, by the code of ``import``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from memory_grpc.commands.configuration import Target
from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.evaluating.dataset import Memory
from memory_grpc.commands.failure import CommandError, complain
from memory_grpc.commands.importing.progress_file import ProgressFile
from memory_grpc.commands.importing.records import Mark, Record
from memory_grpc.commands.importing.report import Report
from memory_grpc.commands.importing.run import Import, Options
from memory_grpc.commands.importing.sender import Counts
from memory_layer.v1 import memory_service_pb2 as pb

# The most hits that a search returns.
_MOST_HITS = 1000


class _Missing:
    """Source of the records that a service lacks; places in it are places among them."""

    def __init__(self, records: list[Record]) -> None:
        self._records = records
        self.total = len(records)

    def records(self, after: Mark) -> Iterator[Record]:
        for number, record in enumerate(self._records, start=1):
            if number > after.number:
                yield Record(record.label, Mark(number - 1, "", number - 1), Mark(number, "", number), record.request)


@dataclass(slots=True)
class Stored:
    """How many turns of the file a tenant has, archived ones and messages of other origin."""

    turns: Counter[str]
    archived: int = 0
    foreign: int = 0


async def stored(memory: Memory, caller: Caller) -> Stored:
    """What a tenant has of its conversations: a search without a threshold finds everything."""
    found = Stored(Counter())
    conversations = [None] if len(memory.turns) < _MOST_HITS else sorted(memory.conversations)
    for conversation in conversations:
        request = pb.SearchMemoriesRequest(
            tenant_id=memory.tenant_id,
            query="anything",
            conversation_id=conversation,
            top_k=_MOST_HITS,
            include_archived=True,
            ranking="semantic",
        )
        for hit in (await caller.memory("SearchMemories", request)).items:
            dia_id = hit.metadata.fields["dia_id"].string_value
            if dia_id in memory.turns:
                found.turns[dia_id] += 1
            else:
                found.foreign += 1
            found.archived += hit.HasField("archived_at")
    return found


async def load(memories: dict[str, Memory], caller: Caller, target: Target, name: str) -> int:
    """Imports the turns that are missing and warns of what would spoil the figures; returns how many were stored."""
    missing: list[Record] = []
    for memory in memories.values():
        has = await stored(memory, caller)
        missing += [record for dia_id, record in memory.turns.items() if dia_id not in has.turns]
        _warn(memory, has)
    if not missing:
        return 0
    counts = Counts()
    with TemporaryDirectory(prefix="memory-grpc-eval-") as folder, Report(name, len(missing), counts) as report:
        file = ProgressFile(Path(folder) / "progress.json")
        work = Import(_Missing(missing), None, file, target, Options(), report, counts)
        await work.run()
    if work.stopped:
        raise CommandError("The service calls a turn of the file invalid: there is nothing to evaluate.")
    return counts.stored


def _warn(memory: Memory, has: Stored) -> None:
    twice = sum(count - 1 for count in has.turns.values())
    kinds = {
        f"{has.archived:,} archived messages, which no search finds: evaluate with another --tenant-prefix on a server "
        "with MEMORY_RETENTION_SCHEDULE_SECONDS=0": has.archived,
        f"{twice:,} turns that are stored twice": twice,
        f"{has.foreign:,} messages that are not in the file": has.foreign,
    }
    for kind, count in kinds.items():
        if count:
            complain(f"Warning: {memory.tenant_id} holds {kind}.")

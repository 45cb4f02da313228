"""Brings the conversations that the service does not have yet into it, by the code of ``import``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from memory_grpc.commands import output, pending
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.evaluating import waiting
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


async def stored(memories: Sequence[Memory], caller: Caller, patience_seconds: float) -> list[Stored]:
    """What each tenant has of its conversations: a search without a threshold finds everything that has its embedding,
    and is asked again until everything has. Raises CommandError as waiting does.
    """
    requests = [(memory, request) for memory in memories for request in _listing(memory)]
    found = {memory.tenant_id: Stored(Counter()) for memory in memories}
    answers = await waiting.answers([request for _, request in requests], caller, patience_seconds)
    for (memory, _), answer in zip(requests, answers, strict=True):
        has = found[memory.tenant_id]
        for hit in answer.items:
            dia_id = hit.metadata.fields["dia_id"].string_value
            if dia_id in memory.turns:
                has.turns[dia_id] += 1
            else:
                has.foreign += 1
            has.archived += hit.HasField("archived_at")
    return list(found.values())


def _listing(memory: Memory) -> Iterator[pb.SearchMemoriesRequest]:
    """Searches that find all of a tenant's conversations, each at most _MOST_HITS messages."""
    conversations = [None] if len(memory.turns) < _MOST_HITS else sorted(memory.conversations)
    for conversation in conversations:
        yield pb.SearchMemoriesRequest(
            tenant_id=memory.tenant_id,
            query="anything",
            conversation_id=conversation,
            top_k=_MOST_HITS,
            include_archived=True,
            ranking="semantic",
        )


async def load(memories: Sequence[Memory], caller: Caller, target: Target, name: str, patience_seconds: float) -> int:
    """Imports the turns that are missing, and waits until everything is embedded, what was there before included.

    Warns of what would spoil the figures. Returns how many turns were stored. Raises CommandError when the service
    refuses some, when a message cannot be embedded, and when one is not within the patience.
    """
    missing: list[Record] = []
    for memory, has in zip(memories, await stored(memories, caller, patience_seconds), strict=True):
        missing += [record for dia_id, record in memory.turns.items() if dia_id not in has.turns]
        _warn(memory, has)
    if not missing:
        return 0
    counts = Counts()
    with TemporaryDirectory(prefix="memory-grpc-eval-") as folder, Report(name, len(missing), counts) as report:
        file = ProgressFile(Path(folder) / "progress.json")
        options = Options(patience_seconds=patience_seconds)
        work = Import(_Missing(missing), None, file, target, options, report, counts)
        await work.run()
    if work.stopped:
        raise CommandError("The service calls a turn of the file invalid: there is nothing to evaluate.")
    await waiting.answers([pending.request(memory.tenant_id) for memory in memories], caller, patience_seconds)
    return counts.stored


def _warn(memory: Memory, has: Stored) -> None:
    twice = sum(count - 1 for count in has.turns.values())
    kinds = {
        f"{output.counted(has.archived, 'archived message')}, not found by any search: evaluate with another "
        "--tenant-prefix on a server with MEMORY_RETENTION_SCHEDULE_SECONDS=0": has.archived,
        f"{output.counted(twice, 'turn')} more than once": twice,
        f"{output.counted(has.foreign, 'message')} of another file": has.foreign,
    }
    for kind, count in kinds.items():
        if count:
            complain(f"Warning: {memory.tenant_id} holds {kind}.")

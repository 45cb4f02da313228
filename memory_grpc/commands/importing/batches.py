"""Records gathered into batches of one tenant, and how much of a file its batches have brought across."""

from __future__ import annotations

from dataclasses import dataclass, field

from memory_grpc.commands.importing.records import Mark, Record

# Batches of several tenants fill at once, so that a file that interleaves tenants is not sent line by line. This many
# times the batch size may wait in them all together, and a batch waits for this many lines for the next of its tenant.
_WAITING_BATCHES = 8
_IDLE_BATCHES = 2


@dataclass(eq=False, slots=True)
class Batch:
    """Records of one tenant, in the order of the file."""

    tenant_id: str
    records: list[Record] = field(default_factory=list)
    size_bytes: int = 0
    request_ids: set[str] = field(default_factory=set)

    @property
    def before(self) -> Mark:
        """The place in the file before its first record."""
        return self.records[0].before

    @property
    def span(self) -> int:
        """How much of the file it is, in the unit of ``Mark.position``."""
        return sum(record.after.position - record.before.position for record in self.records)


class Batcher:
    """Fills batches; hands each out once it is full, has waited longest, or nothing more comes."""

    def __init__(self, max_messages: int, max_bytes: int) -> None:
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._open: dict[str, Batch] = {}
        self._messages = self._bytes = 0

    @property
    def waiting(self) -> list[Batch]:
        """Batches that are still filling."""
        return list(self._open.values())

    def add(self, record: Record) -> list[Batch]:
        """Takes a record in; returns the batches to send now."""
        assert record.request is not None, "only messages are sent"
        ready = []
        tenant_id, request_id = record.request.tenant_id, record.request.request_id.lower()
        size = record.request.ByteSize()
        batch = self._open.get(tenant_id)
        # The server refuses a batch with a request id twice; in two batches the second is a repeat.
        if batch and (batch.size_bytes + size > self._max_bytes or request_id in batch.request_ids):
            ready.append(self._take(tenant_id))
        # Put in again, so that the first of the dictionary is the one that waits longest for more.
        batch = self._open.pop(tenant_id) if tenant_id in self._open else Batch(tenant_id)
        self._open[tenant_id] = batch
        batch.records.append(record)
        batch.size_bytes += size
        batch.request_ids.add(request_id)
        self._messages += 1
        self._bytes += size
        if len(batch.records) >= self._max_messages:
            ready.append(self._take(tenant_id))
        while self._open and (self._is_overfull() or self._is_idle(record.after.number)):
            ready.append(self._take(next(iter(self._open))))
        return ready

    def drain(self) -> list[Batch]:
        """Everything that waits."""
        return [self._take(tenant_id) for tenant_id in list(self._open)]

    def _take(self, tenant_id: str) -> Batch:
        batch = self._open.pop(tenant_id)
        self._messages -= len(batch.records)
        self._bytes -= batch.size_bytes
        return batch

    def _is_idle(self, number: int) -> bool:
        first = next(iter(self._open.values()))
        return number - first.records[-1].after.number > _IDLE_BATCHES * self._max_messages

    def _is_overfull(self) -> bool:
        return (
            self._messages > _WAITING_BATCHES * self._max_messages or self._bytes > _WAITING_BATCHES * self._max_bytes
        )


class Ledger:
    """Up to where everything in the file is done: acknowledged, or nothing to send."""

    def __init__(self, start: Mark) -> None:
        self._read = start
        self._sending: set[Batch] = set()

    def read(self, upto: Mark) -> None:
        """The file was read up to there."""
        self._read = upto

    def sent(self, batch: Batch) -> None:
        """A batch is on its way."""
        self._sending.add(batch)

    def acknowledged(self, batch: Batch) -> None:
        """The server has a batch."""
        self._sending.discard(batch)

    def done(self, waiting: list[Batch]) -> Mark:
        """The place before the first record that is not acknowledged; ``waiting`` are batches not sent yet."""
        marks = [batch.before for batch in (*self._sending, *waiting)]
        return min(marks, key=lambda mark: mark.number, default=self._read)

"""One import from beginning to end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import grpc

from memory_grpc.client.errors import from_call
from memory_grpc.commands import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.batches import Batch, Batcher, Ledger
from memory_grpc.commands.importing.keep import keep
from memory_grpc.commands.importing.order import Order, Turn
from memory_grpc.commands.importing.progress_file import Progress, ProgressFile
from memory_grpc.commands.importing.records import Fault, Mark, Record, Source
from memory_grpc.commands.importing.report import Report
from memory_grpc.commands.importing.sender import Counts, Sender
from memory_layer.v1 import admin_service_pb2, memory_service_pb2
from memory_layer.v1.admin_service_pb2_grpc import AdminServiceStub
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub

# How often the loop is let go on while lines are read that bring nothing to send.
_BREATH_RECORDS = 256


@dataclass(frozen=True, slots=True)
class Options:
    """How to import. ``max_bytes`` bounds a batch besides ``batch_size``; ``in_flight`` batches are sent at once."""

    batch_size: int = 256
    max_bytes: int = 1_000_000
    in_flight: int = 2
    skip_invalid: bool = False
    patience_seconds: float = 120.0
    keep: bool = False
    """Give each tenant a policy that keeps what is imported, before the first of its messages is stored."""


class Import:
    """Brings a source into the service: ``run`` once.

    ``counts``, ``empty`` (records without text) and ``left_out`` say what became of the records; ``stopped`` that an
    invalid one ended the import. Of each tenant's messages, ``oldest`` and ``least_important`` hold the oldest time and
    the lowest importance, and ``pending`` how many were taken without an embedding.
    """

    def __init__(
        self,
        source: Source,
        start: Progress | None,
        file: ProgressFile,
        target: Target,
        options: Options,
        report: Report,
        counts: Counts,
    ) -> None:
        self._source = source
        self._start = start
        self._file = file
        self._target = target
        self._options = options
        self._report = report
        self._batcher = Batcher(options.batch_size, options.max_bytes)
        self._start_mark = self._saved = start.mark if start else Mark()
        self._ledger = Ledger(self._start_mark)
        self._slots = asyncio.Semaphore(options.in_flight)
        self._order = Order()
        self._refused_numbers: set[int] = set()
        self._kept: set[str] = set()
        self.counts = counts
        self.empty = 0
        self.left_out: Counter[str] = Counter()
        self.stopped = False
        self.oldest: dict[str, datetime] = {}
        self.least_important: dict[str, float] = {}
        self.pending: Counter[str] = Counter()

    async def run(self) -> None:
        """Returns when everything is acknowledged, or all before an invalid record is (``stopped``).

        Raises CommandError when the service cannot be reached, refuses, or is not the one of the progress file.
        """
        async with client.connected_aio(self._target) as channel:
            try:
                sender = await self._sender(channel)
            except grpc.aio.AioRpcError as error:
                raise client.failure(from_call(error), self._target.address) from None
            try:
                async with asyncio.TaskGroup() as group:
                    await self._read(sender, group)
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None
            self._save(sender)

    async def _sender(self, channel: grpc.aio.Channel) -> Sender:
        memory: Any = MemoryServiceStub(channel)
        admin: Any = AdminServiceStub(channel)
        # Once the import is under way a service that is down is waited for; one that was never there is an error.
        await admin.GetHealth(
            admin_service_pb2.GetHealthRequest(),
            metadata=client.metadata(self._target),
            timeout=self._target.timeout_seconds,
        )
        if self._start is not None:
            await self._check_same_service(memory, self._start)
        return Sender(
            memory,
            self._target,
            patience_seconds=self._options.patience_seconds,
            skip_invalid=self._options.skip_invalid,
            counts=self.counts,
            refused=self._refuse,
            note=self._report.note,
            least_important=self.least_important,
            pending=self.pending,
        )

    async def _check_same_service(self, memory: Any, start: Progress) -> None:
        """A service that lacks what the progress file calls stored would miss everything that is skipped."""
        request = memory_service_pb2.GetMessageRequest(message_id=start.message_id, tenant_id=start.tenant_id)
        try:
            await memory.GetMessage(
                request, metadata=client.metadata(self._target), timeout=self._target.timeout_seconds
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            raise CommandError(
                "The service does not have what an earlier run of this import stored (it is another database, or "
                "retention deleted it): import the file from its beginning with --restart."
            ) from None

    async def _read(self, sender: Sender, group: asyncio.TaskGroup) -> None:
        for count, record in enumerate(self._source.records(self._start_mark), start=1):
            if count == 1:
                self._report.begin(record.before.position)
            if record.faults:
                self._refuse(record, record.faults)
            if self.stopped:
                break
            self.left_out.update(record.left_out)
            if record.request is not None:
                await self._dispatch(self._batcher.add(record), sender, group)
            else:
                self.empty += not record.faults and not record.left_out
                self._report.advance(record.after.position - record.before.position)
            self._ledger.read(record.after)
            if count % _BREATH_RECORDS == 0:
                await asyncio.sleep(0)
        await self._dispatch(self._batcher.drain(), sender, group)

    async def _dispatch(self, batches: list[Batch], sender: Sender, group: asyncio.TaskGroup) -> None:
        for batch in batches:  # all of them before anything is awaited: a batch nobody knows of would count as done
            self._ledger.sent(batch)
        for batch in batches:
            if self._options.keep and batch.tenant_id not in self._kept:
                await asyncio.to_thread(keep, batch.tenant_id, self._target)
                self._kept.add(batch.tenant_id)
            await self._slots.acquire()
            group.create_task(self._deliver(batch, self._order.take(batch), sender))

    async def _deliver(self, batch: Batch, turn: Turn, sender: Sender) -> None:
        try:
            comes = await self._order.come(turn)
            complete = comes and await sender.send(batch.records)
            self._order.end(turn, is_complete=complete)
        finally:
            self._slots.release()
        if not comes:  # the next run sends it, after the rest of what it waited for
            return
        span = batch.span
        times = [time for record in batch.records if (time := record.created_at)]
        if times:
            self.oldest[batch.tenant_id] = min([*times, self.oldest.get(batch.tenant_id, times[0])])
        if complete:
            self._ledger.acknowledged(batch)
        else:
            first = min(r.after.number for r in batch.records if r.after.number in self._refused_numbers)
            batch.records = [record for record in batch.records if record.after.number >= first]
        self._save(sender)
        self._report.advance(span)

    def _refuse(self, record: Record, faults: Sequence[Fault]) -> None:
        self._report.bad(record, faults)
        self.counts.invalid += 1
        if not self._options.skip_invalid:
            self.stopped = True
            self._refused_numbers.add(record.after.number)

    def _save(self, sender: Sender) -> None:
        """Writes down how far everything is done, if that is further than before."""
        done = self._ledger.done(self._batcher.waiting)
        stored = sender.last_stored
        if done.number > self._saved.number and stored is not None:
            self._file.save(Progress(done.number, done.digest, stored.tenant_id, stored.id))
            self._saved = done

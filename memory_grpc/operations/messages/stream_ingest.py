"""Stream ingest: stores a stream of messages in batches, and says of each when it is committed.

::

    messages ──reader──▶ inbox (bounded) ──launcher──▶ lanes (bounded) ──▶ acknowledgements, in order

While one batch is embedded and stored the next gathers in the inbox, so that batches grow as large as the load needs.
Both queues are bounded, the inbox in bytes too: a server that falls behind stops reading, and the sender's flow control
does the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID

from memory_grpc import deadline
from memory_grpc.domain.messages import Ingested, NewMessage
from memory_grpc.errors import (
    DeadlineExceeded,
    InvalidInput,
    MemoryLayerError,
    ModelChanged,
    NotFound,
    QueueFull,
    QuotaExceeded,
    RequestIdReused,
)
from memory_grpc.operations.messages.inbox import Inbox
from memory_grpc.operations.messages.ingest import Ingest

T = TypeVar("T")

BATCH = 256
BATCH_CHARACTERS = 1_000_000
INBOX = 1024
INBOX_BYTES = 4 * 1024 * 1024
# The request timeout is meant for one call; a batch gets it once for so many messages, or a model that is merely slow
# would end the stream.
MESSAGES_PER_TIMEOUT = 32
LANES = 2

# What one message is refused for, and no other with it.
_OF_ONE_MESSAGE = (InvalidInput, RequestIdReused, NotFound, QuotaExceeded)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The message at ``sequence``, counted from 0, is committed."""

    sequence: int
    message_id: UUID
    embedding_status: str
    importance: float
    repeated: bool


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored of a batch, in order, and why the next message of it was refused."""

    ingested: list[Ingested]
    refusal: MemoryLayerError | None = None


class StreamIngest:
    """One ``ingest`` a batch and tenant, a few batches at a time."""

    def __init__(self, ingest: Ingest, timeout_seconds: float) -> None:
        self._ingest = ingest
        self._timeout_seconds = timeout_seconds

    async def __call__(self, messages: AsyncIterator[NewMessage]) -> AsyncIterator[Acknowledgement]:
        """Acknowledges messages in their order, in which they are stored too.

        An error of ``messages`` or of a batch ends the stream, after everything before it was acknowledged.
        """
        inbox = Inbox(INBOX, INBOX_BYTES)
        lanes: asyncio.Queue[asyncio.Task[_Stored] | Exception | None] = asyncio.Queue(LANES)
        running: set[asyncio.Task[_Stored]] = set()

        async def read() -> None:
            try:
                async for message in messages:
                    await inbox.put(message)
                await inbox.put(None)
            except Exception as error:
                await inbox.put(error)

        async def launch() -> None:
            end: Exception | None = None
            place, before = 0, None
            while True:
                batch, ended, end = await _gather(inbox)
                if batch:
                    task = asyncio.create_task(self._store(batch, place, before))
                    place, before = place + len(batch), task
                    running.add(task)
                    await lanes.put(task)
                if ended:
                    await lanes.put(end)
                    return

        workers = [asyncio.create_task(read()), asyncio.create_task(launch())]
        sequence = 0
        try:
            while (lane := await lanes.get()) is not None:
                if isinstance(lane, Exception):
                    raise lane
                batch = await lane
                for ingested in batch.ingested:
                    stored = ingested.message
                    yield Acknowledgement(
                        sequence, stored.id, stored.embedding_status, stored.importance, ingested.repeated
                    )
                    sequence += 1
                running.discard(lane)
                if batch.refusal is not None:
                    raise batch.refusal
        finally:
            for task in (*workers, *running):
                task.cancel()
            await asyncio.gather(*workers, *running, return_exceptions=True)

    async def _store(self, batch: list[NewMessage], first_place: int, before: asyncio.Task[_Stored] | None) -> _Stored:
        """Stores a batch, one transaction a tenant, once the batch before it is stored. Where a message is refused, the
        batch ends before it."""
        stored: dict[int, Ingested] = {}
        end, refusal = first_place + len(batch), None
        for tenant_id in dict.fromkeys(message.tenant_id for message in batch):
            of_tenant = {first_place + i: message for i, message in enumerate(batch) if message.tenant_id == tenant_id}
            part = {place: message for place, message in of_tenant.items() if place < end}
            one = await self._up_to_a_refusal(part, before)
            stored |= zip(part, one.ingested, strict=False)
            if one.refusal is not None:
                end, refusal = list(part)[len(one.ingested)], one.refusal
        return _Stored([stored[place] for place in sorted(stored) if place < end], refusal)

    async def _up_to_a_refusal(self, part: Mapping[int, NewMessage], before: asyncio.Task[_Stored] | None) -> _Stored:
        """Stores messages of one tenant: all, or those before one that is refused, which halving finds."""
        try:
            return _Stored(await self._ordered(part, before) if part else [])
        except _OF_ONE_MESSAGE as error:
            if len(part) == 1:
                return _Stored([], error)
        places = list(part)
        halves = places[: len(places) // 2], places[len(places) // 2 :]
        first = await self._up_to_a_refusal({place: part[place] for place in halves[0]}, before)
        if first.refusal is not None:
            return first
        second = await self._up_to_a_refusal({place: part[place] for place in halves[1]}, before)
        return _Stored(first.ingested + second.ingested, second.refusal)

    async def _ordered(self, part: Mapping[int, NewMessage], before: asyncio.Task[_Stored] | None) -> list[Ingested]:
        """Embeds messages of one tenant, by their places in the stream, and stores them when it is their turn."""
        seconds = self._timeout_seconds * max(1.0, len(part) / MESSAGES_PER_TIMEOUT)
        while True:
            draft = partial(self._ingest.draft, list(part.values()), list(part), is_patient=True)
            drafts = await _patiently(seconds, draft)
            if before is not None:
                await asyncio.wait([before])
                if before.cancelled() or before.exception() is not None or before.result().refusal is not None:
                    # The stream ends there, and takes this batch along: nothing is stored after a gap.
                    await asyncio.get_running_loop().create_future()
            try:
                return await _patiently(seconds, partial(self._ingest.store, drafts))
            except ModelChanged:
                continue


async def _patiently(seconds: float, work: Callable[[], Awaitable[T]]) -> T:
    """Does something within so many seconds, and again when the embedding queue was full."""
    while True:
        try:
            with deadline.within(seconds):
                async with asyncio.timeout(seconds):
                    return await work()
        except QueueFull as full:
            await asyncio.sleep(full.retry_after_seconds)
        except TimeoutError as error:
            raise DeadlineExceeded from error


async def _gather(inbox: Inbox) -> tuple[list[NewMessage], bool, Exception | None]:
    """What waits in the inbox, at least one item: the messages, whether the stream ended, and by which error."""
    batch: list[NewMessage] = []
    characters = 0
    item = await inbox.get()
    while True:
        if item is None or isinstance(item, Exception):
            return batch, True, item
        batch.append(item)
        characters += len(item.content)
        if inbox.is_empty or len(batch) >= BATCH or characters >= BATCH_CHARACTERS:
            return batch, False, None
        item = inbox.get_nowait()

"""Sends batches until the server has them: waits when it is told to, tries again when a try may have been lost.

Sending again is safe, since every message has a request id.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import grpc

from memory_grpc.client.errors import from_call
from memory_grpc.commands import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.importing.records import Fault, Record
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import message_pb2

_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 0.25, 10.0
_INDEXED = re.compile(r"messages\[(\d+)\]\.?(.*)")

_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}
# One message makes the whole batch fail and the error does not say which, or all are too much for one call.
_HALVED = {grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.DEADLINE_EXCEEDED}


@dataclass(slots=True)
class Counts:
    """Messages: stored by this run; repeated, as the server had them before; invalid."""

    stored: int = 0
    repeated: int = 0
    invalid: int = 0


@dataclass(slots=True)
class Sender:
    """BatchIngestMessages with patience.

    ``patience_seconds`` is how long nothing but failures is borne, waits that the server asked for not counted.
    ``refused`` is told of every message that the server calls invalid. Of each tenant's messages, ``least_important``
    holds the lowest importance that the server gave them, and ``pending`` how many it said have no embedding.
    """

    stub: Any
    target: Target
    patience_seconds: float
    skip_invalid: bool
    counts: Counts
    refused: Callable[[Record, Sequence[Fault]], None]
    note: Callable[[str], None]
    least_important: dict[str, float] = field(default_factory=dict)
    pending: Counter[str] = field(default_factory=Counter)
    last_stored: message_pb2.Message | None = None
    _not_before: float = 0.0

    async def send(self, records: Sequence[Record]) -> bool:
        """Returns when the server has all of them but those it calls invalid.

        Without ``skip_invalid`` the records from the first invalid one on are left out, and the answer is False.
        Raises CommandError when the server refuses for good, or for too long.
        """
        if not records:
            return True
        try:
            response = await self._call(records)
        except grpc.aio.AioRpcError as error:
            return await self._recover(records, error)
        self.counts.repeated += len(response.repeated_indexes)
        self.counts.stored += len(response.messages) - len(response.repeated_indexes)
        for message in response.messages:
            least = self.least_important.get(message.tenant_id, message.importance_score)
            self.least_important[message.tenant_id] = min(least, message.importance_score)
            if message.embedding_status in ("pending", "failed"):
                self.pending[message.tenant_id] += 1
            self.last_stored = message
        return True

    async def _call(self, records: Sequence[Record]) -> pb.BatchIngestMessagesResponse:
        """One batch, tried until it is answered by something else than a passing failure."""
        request = pb.BatchIngestMessagesRequest(messages=[r.request for r in records if r.request is not None])
        backoff, borne = _FIRST_BACKOFF_SECONDS, 0.0
        while True:
            await self._wait_for_leave()
            tried_at = time.monotonic()
            try:
                response: pb.BatchIngestMessagesResponse = await self.stub.BatchIngestMessages(
                    request, metadata=client.metadata(self.target), timeout=self.target.timeout_seconds
                )
                return response
            except grpc.aio.AioRpcError as error:
                failure = from_call(error)
                if error.code() not in _PASSING or failure.reason in client.FINAL:
                    raise
                # Too much to embed in the time of one call: the same batch would fail for ever.
                if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and len(records) > 1:
                    raise
                asked = failure.retry_after
                if asked is not None and failure.reason in client.RATE_LIMITS:
                    self.note(f"The server's rate limit is reached: waiting {asked:g} s.")
                    self._not_before = max(self._not_before, time.monotonic() + asked)
                    continue
                borne += time.monotonic() - tried_at
                if borne >= self.patience_seconds:
                    raise
                pause = max(asked or 0.0, backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                self.note(f"{error.code().name}: trying again in {pause:.1f} s.")
                await asyncio.sleep(pause)
                borne += pause
                backoff = min(2 * backoff, _LONGEST_BACKOFF_SECONDS)

    async def _wait_for_leave(self) -> None:
        """Waits out what the server asked for, whichever batch it was said to."""
        # Not an event: a moment, which answers to other batches may put off.
        while (left := self._not_before - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(left)

    async def _recover(self, records: Sequence[Record], error: grpc.aio.AioRpcError) -> bool:
        """What can be done about a final answer: halves, all but the invalid ones, or nothing."""
        code = error.code()
        if code is grpc.StatusCode.INVALID_ARGUMENT and (faults := _faults_by_index(error, len(records))):
            return await self._without(records, faults)
        if len(records) > 1 and (code in _HALVED or from_call(error).reason == "REQUEST_TOO_LARGE"):
            middle = len(records) // 2
            return await self.send(records[:middle]) and await self.send(records[middle:])
        if code is grpc.StatusCode.NOT_FOUND:
            self.counts.repeated += 1  # stored before, and deleted by retention since
            return True
        if code is grpc.StatusCode.ALREADY_EXISTS:
            return await self._without(records, {0: [Fault("request_id", "was already used with a different body")]})
        raise client.failure(from_call(error), self.target.address) from None

    async def _without(self, records: Sequence[Record], faults: dict[int, list[Fault]]) -> bool:
        if self.skip_invalid:
            for index, found in sorted(faults.items()):
                self.refused(records[index], found)
            return await self.send([record for index, record in enumerate(records) if index not in faults])
        first = min(faults)
        before_it = await self.send(records[:first])
        if before_it:
            self.refused(records[first], faults[first])
        return False


def _faults_by_index(error: Any, count: int) -> dict[int, list[Fault]]:
    """The faults of an INVALID_ARGUMENT by the index of the message; nothing where it names none."""
    faults: dict[int, list[Fault]] = {}
    for violation in from_call(error).violations:
        found = _INDEXED.fullmatch(violation.field)
        if found is None or int(found[1]) >= count:
            return {}
        faults.setdefault(int(found[1]), []).append(Fault(found[2], violation.description))
    return faults

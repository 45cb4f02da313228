"""Quotas: how much a tenant may store, asked before it is stored.

What is there is counted in Postgres now and then, and each process adds what it has stored since. So a writer neither
counts a million rows nor waits for a row that all writers of a tenant change. Of several servers, each may let in what
the others have stored since it counted last. A refusal has the tenant counted anew for the next call.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog

from memory_grpc import deadline
from memory_grpc.domain.policy import StorageQuota
from memory_grpc.errors import MemoryLayerError, QuotaExceeded
from memory_grpc.offload import by_size
from memory_grpc.operations.policy.policies import Policies
from memory_grpc.store import quotas
from memory_grpc.store.database import Database

T = TypeVar("T")

log = structlog.get_logger(__name__)

RECOUNT_SECONDS, RECOUNT_TIMES = 10.0, 50.0
"""A figure is counted again after so long, or so many times what counting it took: the longer of the two."""
DOUBT_SECONDS, DOUBT_TIMES = 1.0, 10.0
"""The same before somebody is refused for it."""
# A call waits so long for a count, and is then let in by what is known: a quota holds no secret.
_PATIENCE_SECONDS = 2.0
_LONGEST_COUNT_SECONDS = 60.0
_MOST_TENANTS = 10_000
_AT_ONCE = 2
# Of a message, in bytes as JSON.
_LONGEST_METADATA = 16_384


class HasText(Protocol):
    """A message, whether it is stored yet or not."""

    @property
    def content(self) -> str: ...

    @property
    def metadata(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Text:
    """What a message would say."""

    content: str
    metadata: Mapping[str, Any]


class Usage:
    """What a tenant has stored, as far as this process knows."""

    def __init__(self, quota: StorageQuota) -> None:
        self.quota = quota
        self.messages = self.bytes = 0
        self.held_messages = self.held_bytes = 0
        """Of calls that are storing them now."""
        self.ended_messages = self.ended_bytes = 0
        """All that calls have stored since this began."""
        self.counted_at: float | None = None
        self.again_at = float("-inf")
        """Not counted before this, where a count has failed."""
        self.is_doubted = False
        """Somebody was refused by this figure."""
        self.seconds = 0.0
        """That the last count took."""
        self.counting: asyncio.Task[None] | None = None

    def has_room(self, messages: int, bytes_: int) -> bool:
        """For so many more. What adds no message is not refused for the number of messages, nor for that of bytes
        what adds none."""
        quota = self.quota
        is_full = messages > 0 and 0 < quota.max_messages < self.messages + self.held_messages + messages
        is_too_long = bytes_ > 0 and 0 < quota.max_bytes < self.bytes + self.held_bytes + bytes_
        return not (is_full or is_too_long)


class Room:
    """What one call has taken of a tenant's quota; nothing, where there is none."""

    def __init__(self, usage: Usage | None) -> None:
        self._usage = usage
        self._messages = self._bytes = 0

    async def take(self, said: Sequence[HasText], *, adds: bool = True) -> None:
        """Room for messages, or (``adds`` False) for what messages that are there say besides. Waits for nothing but
        its own arithmetic. Raises QuotaExceeded."""
        usage = self._usage
        if usage is None:
            return
        messages, bytes_ = await _amount(usage.quota, said, adds=adds)
        if not usage.has_room(messages, bytes_):
            usage.is_doubted = True
            raise QuotaExceeded
        self._messages += messages
        self._bytes += bytes_
        usage.held_messages += messages
        usage.held_bytes += bytes_

    def end(self, *, stored: bool) -> None:
        """Counts what was taken as stored, or gives it back."""
        if self._usage is None:
            return
        self._usage.held_messages -= self._messages
        self._usage.held_bytes -= self._bytes
        if stored:
            self._usage.messages += self._messages
            self._usage.bytes += self._bytes
            self._usage.ended_messages += self._messages
            self._usage.ended_bytes += self._bytes


class Quotas:
    """Counts on connections of ``database``; times are by ``clock``."""

    def __init__(self, database: Database, policies: Policies, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._policies = policies
        self._clock = clock
        self._of: dict[str, Usage] = {}
        # A count of bytes reads all that a tenant has: those of many tenants leave the others their connections.
        self._turn = asyncio.Semaphore(_AT_ONCE)

    @asynccontextmanager
    async def room(self, tenant_id: str, said: Sequence[HasText], *, adds: bool = True) -> AsyncIterator[Room]:
        """Room of a tenant's, for who means to store at most this: to be taken inside the block, and given back when it
        raises. Outside of any transaction, since it may wait for a count."""
        room = Room(await self._usage(tenant_id, said, adds=adds))
        stored = False
        try:
            yield room
            stored = True
        finally:
            room.end(stored=stored)

    async def check(self, tenant_id: str, said: Sequence[HasText]) -> None:
        """Raises QuotaExceeded where these would not be stored anyway: nothing needs to be done for them."""
        room = Room(await self._usage(tenant_id, said, adds=True))
        await room.take(said)
        room.end(stored=False)

    async def asked_twice(self, tenant_id: str, store: Callable[[], Awaitable[T]]) -> T:
        """What ``store`` gives, which takes room and is all or nothing; asked once more where an old figure refused it.
        For calls that know how much they need only when they have read what is there.

        Raises what ``store`` raises.
        """
        try:
            return await store()
        except QuotaExceeded:
            if not await self._is_counted_anew(tenant_id):
                raise
        return await store()

    async def _is_counted_anew(self, tenant_id: str) -> bool:
        """Whether the figure that somebody was just refused by has been counted since."""
        usage = self._of.get(tenant_id)
        if usage is None or usage.counted_at is None or self._clock() < usage.again_at:
            return False
        if usage.is_doubted and self._clock() - usage.counted_at >= max(DOUBT_SECONDS, DOUBT_TIMES * usage.seconds):
            await self._count(tenant_id, usage)
        return not usage.is_doubted

    async def _usage(self, tenant_id: str, said: Sequence[HasText], *, adds: bool) -> Usage | None:
        """None where the tenant has no quota."""
        quota = (await self._policies.get(tenant_id)).quota
        if quota == StorageQuota():
            return None
        usage = self._of.get(tenant_id)
        if usage is None or usage.quota != quota:
            if len(self._of) >= _MOST_TENANTS:
                self._of.clear()
            usage = self._of[tenant_id] = Usage(quota)
        if self._clock() < usage.again_at:
            return usage
        if usage.counted_at is None:
            await self._count(tenant_id, usage)
            return usage
        age = self._clock() - usage.counted_at
        if age >= max(DOUBT_SECONDS, DOUBT_TIMES * usage.seconds):
            if usage.is_doubted or not usage.has_room(*await _amount(quota, said, adds=adds)):
                await self._count(tenant_id, usage)
            elif age >= max(RECOUNT_SECONDS, RECOUNT_TIMES * usage.seconds):
                self._begin(tenant_id, usage)
        return usage

    async def _count(self, tenant_id: str, usage: Usage) -> None:
        await asyncio.wait([self._begin(tenant_id, usage)], timeout=_PATIENCE_SECONDS)

    def _begin(self, tenant_id: str, usage: Usage) -> asyncio.Task[None]:
        """One count of a tenant's at a time, of which everybody hears."""
        if usage.counting is None or usage.counting.done():
            # In a context of its own: the deadline of whoever asked first is not everybody's.
            usage.counting = asyncio.create_task(self._counted(tenant_id, usage), context=Context())
        return usage.counting

    async def _counted(self, tenant_id: str, usage: Usage) -> None:
        quota = usage.quota
        async with self._turn:
            began = self._clock()
            # What ends while it counts may be in the count, too: rather twice, which a refusal has counted again.
            ended_messages, ended_bytes = usage.ended_messages, usage.ended_bytes
            try:
                with deadline.within(_LONGEST_COUNT_SECONDS):
                    async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                        messages = await quotas.messages(tx, tenant_id, quota.max_messages) if quota.max_messages else 0
                        bytes_ = await quotas.content_bytes(tx, tenant_id) if quota.max_bytes else 0
            except MemoryLayerError as error:  # what was known stays, and where nothing was, everything is let in
                log.warning("quota_not_counted", error=type(error).__name__)
                usage.again_at = self._clock() + RECOUNT_SECONDS
                return
            usage.messages = messages + usage.ended_messages - ended_messages
            usage.bytes = bytes_ + usage.ended_bytes - ended_bytes
            usage.counted_at = self._clock()
            usage.seconds = usage.counted_at - began
            usage.is_doubted = False


async def _amount(quota: StorageQuota, said: Sequence[HasText], *, adds: bool) -> tuple[int, int]:
    """Messages and bytes, the latter only where they count."""
    messages = len(said) if adds else 0
    if not quota.max_bytes:
        return messages, 0
    # No large object is written out on the loop: how long one gets is not known before.
    size = sum(len(one.content) for one in said)
    return messages, await by_size(size + _LONGEST_METADATA * sum(bool(one.metadata) for one in said), _bytes, said)


def _bytes(said: Sequence[HasText]) -> int:
    """As ``quotas.bytes`` counts them."""
    return sum(len(one.content.encode()) + len(json.dumps(one.metadata, ensure_ascii=False).encode()) for one in said)

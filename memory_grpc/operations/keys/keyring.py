"""Keyring: finds the grant of a key, and whether calls need one; remembers both for a moment, since every call asks.

What was read is used for ``CACHE_SECONDS``, counted from before it was read: a revoked key ends that long after it was
revoked, at most the time of one reading later. Longer than that nothing is believed, whether the database answers or
not: without it a call is refused as UNAVAILABLE, never let in.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import TypeVar

from memory_grpc import access, deadline
from memory_grpc.access import Grant, Role
from memory_grpc.domain.keys import KeyDigest
from memory_grpc.errors import DeadlineExceeded, StoreUnavailable
from memory_grpc.store import keys as key_store
from memory_grpc.store.database import EVERY_TENANT, Database

T = TypeVar("T")

# The contract promises that a revocation holds on every server within 5 seconds.
CACHE_SECONDS = 2.0
PATIENCE_SECONDS = 2.0
_CACHE_ENTRIES = 10_000


class Remembered(dict[str, tuple[float, T]]):
    """Values by name, each read again when it is old, and only once however many wait for it."""

    def __init__(self, read: Callable[[str], Awaitable[T]]) -> None:
        super().__init__()
        self._read = read
        self._reading: dict[str, asyncio.Task[T]] = {}

    async def of(self, name: str) -> T:
        """The value, at most ``CACHE_SECONDS`` old. Raises StoreUnavailable."""
        known = self.get(name)
        if known is not None and time.monotonic() - known[0] < CACHE_SECONDS:
            return known[1]
        task = self._reading.get(name)
        if task is None:
            # In a context of its own: the deadline of whoever asked first is not everybody's.
            task = asyncio.create_task(self._refresh(name), context=Context())
            self._reading[name] = task
            task.add_done_callback(lambda done: self._done(name, done))
        return await asyncio.shield(task)

    async def _refresh(self, name: str) -> T:
        read_at = time.monotonic()
        try:
            with deadline.within(PATIENCE_SECONDS):
                value = await self._read(name)
        except DeadlineExceeded as error:
            raise StoreUnavailable from error
        if self._reading.get(name) is asyncio.current_task():
            if len(self) >= _CACHE_ENTRIES:  # strangers may try as many prefixes as they like
                self.clear()
            self[name] = (read_at, value)
        return value

    def forget(self) -> None:
        """Reads everything again; what is being read now may be of before, and is not kept."""
        self.clear()
        self._reading.clear()

    def _done(self, name: str, task: asyncio.Task[T]) -> None:
        if self._reading.get(name) is task:
            del self._reading[name]
        if not task.cancelled():
            task.exception()  # seen, even when nobody waits any more


class Keyring:
    """Keys that were made, by what callers send."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys: Remembered[list[KeyDigest]] = Remembered(self._read_keys)
        self._any: Remembered[bool] = Remembered(self._read_any)
        self._ever = False

    async def find(self, key: str) -> Grant | None:
        """The grant of a key; None when it is not known, revoked or expired. Raises StoreUnavailable."""
        prefix = access.prefix_of(key)
        if prefix is None:
            return None
        given = access.digest(key)
        found: Grant | None = None
        for known in await self._keys.of(prefix):  # all of them: the time says nothing of which one it was
            if hmac.compare_digest(given, known.digest):
                tenants = None if known.tenant_ids is None else frozenset(known.tenant_ids)
                role, actor = Role[known.role.upper()], f"key:{prefix}"
                found = Grant(role, tenants, known.id, actor, rate_limit=known.rate_limit)
        return found

    async def is_needed(self) -> bool:
        """Whether a key was ever made: from then on, for good, every call needs one. Raises StoreUnavailable."""
        self._ever = self._ever or await self._any.of("any")
        return self._ever

    def forget(self) -> None:
        """Reads everything again: keys have changed."""
        self._keys.forget()
        self._any.forget()

    async def _read_keys(self, prefix: str) -> list[KeyDigest]:
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            return await key_store.of_prefix(tx, prefix)

    async def _read_any(self, _: str) -> bool:
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            return await key_store.is_any(tx)

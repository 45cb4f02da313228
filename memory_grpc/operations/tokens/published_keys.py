"""PublishedKeys: the key set of the identity provider, read in the background and never by a call.

A set that was read is used until another is, for KEEP_SECONDS at most: a provider that is down for a while stops
nobody, and keys that it took back do not outlive it for long. Keys rotate by standing in the set side by side. A token
that names a key which is not in the set has the set read again soon, once in AGAIN_SECONDS at most; so has any token
while there is no set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress

import structlog

from memory_grpc.errors import IdentityUnavailable
from memory_grpc.operations.tokens.key_set import KeySet, SigningKey, parse
from memory_grpc.operations.tokens.sources import Source, SourceError

log = structlog.get_logger(__name__)

KEEP_SECONDS = 3600.0
AGAIN_SECONDS = 10.0
FIRST_SECONDS = 3.0


class PublishedKeys:
    """``now`` is a monotonic clock, in seconds."""

    def __init__(self, source: Source, algorithms: Collection[str], now: Callable[[], float]) -> None:
        self._source = source
        self._algorithms = algorithms
        self._now = now
        self._keys: KeySet = {}
        self._read_at: float | None = None
        self._asked_at: float | None = None
        self._wake: Callable[[], None] = lambda: None
        self.edition = 0
        """Changes with the keys."""

    @property
    def seconds(self) -> float:
        """How often to refresh."""
        return self._source.seconds

    def woken_by(self, wake: Callable[[], None]) -> None:
        """Whom to tell that the set should be read again."""
        self._wake = wake

    async def begin(self) -> None:
        """Reads the set before the first call comes; the start waits FIRST_SECONDS for it at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_SECONDS):
                await self.refresh()

    async def refresh(self) -> None:
        """Reads the set, in a thread. What is wrong with it is logged, and the one before stays."""
        try:
            keys = await asyncio.to_thread(lambda: parse(self._source.read(), self._algorithms))
        except (SourceError, ValueError) as error:
            log.warning("jwt_keys_not_read", reason=str(error))
            return
        self._read_at = self._now()
        if keys.keys() != self._keys.keys() or any(keys[kid].key != self._keys[kid].key for kid in keys):
            log.info("jwt_keys_changed", count=len(keys))
            self._keys = keys
            self.edition += 1

    def check(self) -> None:
        """Raises IdentityUnavailable when no set was read for too long."""
        if self._read_at is None or self._now() - self._read_at > KEEP_SECONDS:
            self._ask()
            raise IdentityUnavailable

    def find(self, key_id: str) -> SigningKey | None:
        """The key of an id. Raises IdentityUnavailable as ``check``."""
        self.check()
        found = self._keys.get(key_id)
        if found is None:
            self._ask()
        return found

    def _ask(self) -> None:
        if self._asked_at is None or self._now() - self._asked_at >= AGAIN_SECONDS:
            self._asked_at = self._now()
            self._wake()

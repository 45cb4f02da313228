"""Trouble: what is wrong with one item of a job's work is nobody else's, and what is wrong with everything ends it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Hashable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog

from memory_grpc.errors import Internal, ProviderDown, StoreUnavailable
from memory_grpc.store.database import Database

log = structlog.get_logger(__name__)

Item = TypeVar("Item", bound=Hashable)


@dataclass(slots=True)
class Attempt:
    """At one item; ``failed`` is known after the block."""

    failed: bool = False


class Trouble:
    """Counts the items of one run that failed, and remembers the class of the last error; classes are logged too, and
    nothing else: an error's words may be content."""

    def __init__(self, database: Database, job: str) -> None:
        self._database = database
        self._job = job
        self.failed = 0
        self.last = ""

    @asynccontextmanager
    async def of_one(self) -> AsyncIterator[Attempt]:
        """Runs the work on one item; what it raises is counted, and the run goes on.

        Raised all the same is what is everybody's trouble: what one part of the service tells another, as that the
        lease is lost; a model that is down; StoreUnavailable where the database is away. A lock that is not had
        is StoreUnavailable too, but a database that answers the next statement is not away.
        """
        attempt = Attempt()
        try:
            yield attempt
        except (Internal, ProviderDown):
            raise
        except Exception as error:
            if isinstance(error, StoreUnavailable):
                await self._database.ping()
            attempt.failed = True
            self.failed += 1
            self.last = type(error).__name__
            log.warning("item_failed", job=self._job, error=type(error).__name__)


class Rests:
    """Items that failed rest for a while, so that the others have their turn."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: dict[Hashable, float] = {}

    def begin(self, item: Hashable) -> None:
        """It rests from now on."""
        self._until[item] = time.monotonic() + self._seconds

    def awake(self, items: Iterable[Item]) -> list[Item]:
        """Those that do not rest, in their order."""
        now = time.monotonic()
        self._until = {item: until for item, until in self._until.items() if until > now}
        return [item for item in items if item not in self._until]


@contextmanager
def at_best(step: str) -> Iterator[None]:
    """A step on the way out of work that failed: if it fails too, that is logged, and hides nothing."""
    try:
        yield
    except Exception as error:
        log.warning("cleanup_failed", step=step, error=type(error).__name__)

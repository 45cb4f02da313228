"""Trail: records who did what.

What an administrator did is stored before the call is answered: there is no answer to what is not on record. Denials
and the use of keys are stored off the call's path, from a queue that is bounded: they come from strangers and with
every call. Of the same denial one a minute is kept, of different ones a number; those of callers that are known have a
number of their own, so that no flood of strangers hides them. What the queue has no room for is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from uuid import UUID

from memory_grpc.access import ANONYMOUS_ACTOR, Grant
from memory_grpc.domain.audit import KEY_USE, NewEvent
from memory_grpc.observability import metrics
from memory_grpc.operations.audit.bounds import Budget, OncePer
from memory_grpc.store import audit
from memory_grpc.store.database import EVERY_TENANT, Database

MOST_WAITING = 1000
DENIALS_PER_MINUTE = 60
# An hour is what the store keeps apart; asking a little sooner costs a statement, asking later would miss an hour.
_USE_SECONDS = 3600.0
_DENIAL_SECONDS = 60.0
_MOST_ACTORS = 10_000
_MOST_DENIALS = 1_000
_BATCH = 200


class Trail:
    """Of one server. ``now`` is a monotonic clock, in seconds.

    ``database`` is that of administration: while calls hold every connection of theirs, what is administered goes on.
    """

    def __init__(self, database: Database, new_id: Callable[[], UUID], now: Callable[[], float]) -> None:
        self._database = database
        self._new_id = new_id
        self._now = now
        self._storing: set[asyncio.Task[None]] = set()
        self._waiting: deque[NewEvent] = deque()
        self._used = OncePer(_USE_SECONDS, _MOST_ACTORS)
        self._denied = OncePer(_DENIAL_SECONDS, _MOST_DENIALS)
        self._strangers, self._known = Budget(DENIALS_PER_MINUTE), Budget(DENIALS_PER_MINUTE)

    async def record(self, actor: str, action: str, outcome: str, tenants: Sequence[str], request_id: str) -> None:
        """Returns when it is stored, an event for each tenant. Raises StoreUnavailable; it is stored later then.

        Neither the end of the call nor its deadline stops it: what was done is recorded, whoever has gone.
        """
        events = [self._event(actor, action, outcome, tenant, request_id) for tenant in tenants or (None,)]
        storing = asyncio.create_task(self._store(events), context=Context())
        self._storing.add(storing)
        storing.add_done_callback(self._stored)
        await asyncio.shield(storing)

    def deny(self, actor: str, action: str, outcome: str, tenants: Sequence[str], request_id: str) -> None:
        """Notes a refusal, for ``flush``."""
        for tenant in tenants or (None,):
            now = self._now()
            if not self._denied.is_new((actor, action, outcome, tenant), now):
                continue
            budget = self._strangers if actor == ANONYMOUS_ACTOR else self._known
            if not budget.take(now):
                metrics.AUDIT_DROPPED.inc()
                return
            self._wait(self._event(actor, action, outcome, tenant, request_id))

    def use(self, grant: Grant, request_id: str) -> None:
        """Notes that a key was used, for ``flush``; the store keeps one such event an hour."""
        if not grant.is_anonymous and self._used.is_new(grant.actor, self._now()):
            only = next(iter(grant.tenants)) if grant.tenants is not None and len(grant.tenants) == 1 else None
            self._wait(self._event(grant.actor, KEY_USE, "OK", only, request_id))

    async def flush(self) -> bool:
        """Stores some of what waits; whether there may be more. Raises StoreUnavailable, and keeps it then."""
        events = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        if not events:
            return False
        try:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                await audit.append(tx, events, self._now())
        except BaseException:
            self._waiting.extendleft(reversed(events))
            raise
        return bool(self._waiting)

    async def _store(self, events: Sequence[NewEvent]) -> None:
        try:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                await audit.append(tx, events, self._now())
        except BaseException:
            for event in events:
                self._wait(event)
            raise

    def _stored(self, storing: asyncio.Task[None]) -> None:
        self._storing.discard(storing)
        if not storing.cancelled():
            storing.exception()  # seen, even when nobody waits any more

    def _wait(self, event: NewEvent) -> None:
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(event)
        else:
            metrics.AUDIT_DROPPED.inc()

    def _event(self, actor: str, action: str, outcome: str, tenant: str | None, request_id: str) -> NewEvent:
        return NewEvent(self._new_id(), self._now(), actor, action, outcome, tenant or None, request_id)

"""audit_events: only ever appended to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from uuid import UUID

from memory_grpc.domain.audit import AuditEvent, EventFilter, NewEvent
from memory_grpc.store.database import Transaction


async def append(tx: Transaction, events: Sequence[NewEvent], now: float) -> None:
    """Stores events; ``now`` is the time of the clock that theirs was taken from.

    Those that are stored already, and uses of a key within an hour of the last, are left out.
    """
    await tx.execute(
        "audit.append",
        {
            "ids": [event.id for event in events],
            "ages": [max(0.0, now - event.at) for event in events],
            "actors": [event.actor for event in events],
            "actions": [event.action for event in events],
            "outcomes": [event.outcome for event in events],
            "event_tenants": [event.tenant_id for event in events],
            "event_requests": [event.request_id for event in events],
        },
    )


async def page(
    tx: Transaction, wanted: EventFilter, after: tuple[datetime, UUID] | None, limit: int
) -> list[AuditEvent]:
    """Events, the newest first, from a place on."""
    after_at, after_id = after or (None, None)
    params = asdict(wanted) | {"after_at": after_at, "after_id": after_id, "limit": limit}
    if wanted.tenant_id is None:
        rows = await tx.all("audit.of_all", params)
    else:
        rows = await tx.all("audit.of_tenant", params)
    return [AuditEvent(**row) for row in rows]


async def expire(tx: Transaction, days: float, batch_size: int) -> int:
    """Forgets one batch of events older than ``days``, 30 at least; returns its size."""
    row = await tx.one("audit.expire", {"days": days, "batch_size": batch_size})
    return int(row["forgotten"]) if row else 0

"""The set-based statements of retention, and the notes of scheduled sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.policy import RetentionLimits
from memory_grpc.domain.retention import RestoredCounts, RetentionCounts, RetentionRun, SimulatedMonth
from memory_grpc.filtering import Where
from memory_grpc.store.database import Transaction
from memory_grpc.store.queries import Parts, part

# Before and after all that is stored.
_ALWAYS, _NEVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)

# A message's place in the order of age: when it was said, and its id.
Place = tuple[datetime, UUID]
_FIRST = UUID(int=0)
_BEFORE_ALL: Place = (_ALWAYS, _FIRST)


@dataclass(frozen=True, slots=True)
class _Walk:
    """Through an index: what is due of it, the column that it is ordered by, and what stands before all of that."""

    due: str
    column: str
    start: datetime | float

    @property
    def parts(self) -> Parts:
        """Those of the statement."""
        return (("due", self.due), ("place", self.column))


# What is due is so for one of two reasons, and each has its index.
_ARCHIVING = (
    _Walk(part("retention.archive_by_age"), "created_at", _ALWAYS),
    _Walk(part("retention.archive_by_importance"), "importance", -1.0),
)
_DELETING = (
    _Walk(part("retention.delete_by_archival"), "archived_at", _ALWAYS),
    _Walk(part("retention.delete_by_expiry"), "expires_at", _ALWAYS),
)


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a batch ended: on which walk, at which place of its order, and at which message."""

    walk: int
    place: datetime | float
    id: UUID = _FIRST


def _params(tenant_id: str, limits: RetentionLimits, now: datetime) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "now": now,
        "max_age_days": limits.max_age_days,
        "importance_threshold": limits.importance_threshold,
        "delete_after_days": limits.delete_after_days,
    }


async def archive(
    tx: Transaction, tenant_id: str, limits: RetentionLimits, now: datetime, batch_size: int, after: Stop | None
) -> tuple[int, Stop]:
    """Moves one batch to the archive, of what stands behind ``after`` (None: of all); its size, and where it ended."""
    return await _batch(tx, "retention.archive", _ARCHIVING, _params(tenant_id, limits, now), batch_size, after)


async def delete(
    tx: Transaction, tenant_id: str, limits: RetentionLimits, now: datetime, batch_size: int, after: Stop | None
) -> tuple[int, Stop]:
    """Deletes one batch from the archive; likewise."""
    return await _batch(tx, "retention.delete", _DELETING, _params(tenant_id, limits, now), batch_size, after)


async def _batch(
    tx: Transaction, query: str, walks: Sequence[_Walk], params: dict[str, Any], batch_size: int, after: Stop | None
) -> tuple[int, Stop]:
    """Goes on where the batch before ended, and through the next walk where one gives too few."""
    taken, stop = 0, after or Stop(0, walks[0].start)
    while True:
        row = await tx.one(
            query,
            params | {"batch_size": batch_size - taken, "after_place": stop.place, "after_id": stop.id},
            parts=walks[stop.walk].parts,
        )
        assert row is not None, "counts without groups are a row"
        taken += row["taken"]
        if taken == batch_size:
            return taken, Stop(stop.walk, row["place"], row["id"] or stop.id)
        if stop.walk == len(walks) - 1:
            return taken, stop
        stop = Stop(stop.walk + 1, walks[stop.walk + 1].start)


async def count_archive(tx: Transaction, tenant_id: str, limits: RetentionLimits, now: datetime) -> int:
    """How many messages archiving would move."""
    row = await tx.one("retention.count_archive", _params(tenant_id, limits, now))
    return int(row["archived"]) if row else 0


async def count_delete(tx: Transaction, tenant_id: str, limits: RetentionLimits, now: datetime) -> tuple[int, int]:
    """How many messages deleting would delete, and how many of them have expired."""
    row = await tx.one("retention.count_delete", _params(tenant_id, limits, now))
    return (int(row["deleted"]), int(row["expired"])) if row else (0, 0)


async def simulate(
    tx: Transaction, tenant_id: str, limits: RetentionLimits, now: datetime, said_by: datetime | None
) -> list[SimulatedMonth]:
    """What a sweep at ``now`` would do to what was said by a time (None: to all), by month and role."""
    rows = await tx.all("retention.simulate", _params(tenant_id, limits, now) | {"said_by": said_by or _NEVER})
    return [SimulatedMonth(**row) for row in rows]


async def sample(
    tx: Transaction, tenant_id: str, limits: RetentionLimits, now: datetime, said_by: datetime | None, limit: int
) -> tuple[list[StoredMessage], list[StoredMessage]]:
    """Up to ``limit`` messages each of what it would archive and of what it would delete, the newest first."""
    params = _params(tenant_id, limits, now) | {"said_by": said_by or _NEVER, "limit": limit}
    archived = await tx.all("retention.sample_of_archive", params)
    deleted = await tx.all("retention.sample_of_delete", params)
    return [StoredMessage(**row) for row in archived], [StoredMessage(**row) for row in deleted]


async def restore(
    tx: Transaction,
    tenant_id: str,
    limits: RetentionLimits,
    now: datetime,
    condition: Where,
    archived_since: datetime | None,
    batch_size: int,
    after: Place | None,
) -> tuple[RestoredCounts, Place | None]:
    """Takes back one batch of what stands behind ``after`` (None: of all); and which message was its last (None: no
    message)."""
    after_at, after_id = after or _BEFORE_ALL
    params = (
        _params(tenant_id, limits, now)
        | {"archived_since": archived_since or _ALWAYS, "batch_size": batch_size}
        | {"after_at": after_at, "after_id": after_id}
        | dict(condition.params)
    )
    row = await tx.one("retention.restore", params, parts=(("filter", condition.text),))
    assert row is not None, "counts without groups are a row"
    last = None if row["last_id"] is None else (row["last_at"], row["last_id"])
    return RestoredCounts(row["restored"], row["would_archive_again"]), last


async def count_restore(
    tx: Transaction,
    tenant_id: str,
    limits: RetentionLimits,
    now: datetime,
    condition: Where,
    archived_since: datetime | None,
) -> RestoredCounts:
    """What restoring would take back."""
    params = _params(tenant_id, limits, now) | {"archived_since": archived_since or _ALWAYS} | dict(condition.params)
    row = await tx.one("retention.count_restore", params, parts=(("filter", condition.text),))
    return RestoredCounts(**row) if row else RestoredCounts()


async def begin_run(tx: Transaction) -> int:
    """Notes that a scheduled sweep begins; returns the note's id."""
    row = await tx.one("retention.begin_run")
    assert row is not None, "an insert that returns nothing"
    return int(row["id"])


async def end_run(
    tx: Transaction, run_id: int, status: str, tenants: int, failed: int, counts: RetentionCounts
) -> None:
    """Notes how it ended, for how many tenants it did and failed, and drops notes that are too old to matter."""
    await tx.execute(
        "retention.end_run",
        {
            "id": run_id,
            "status": status,
            "tenants": tenants,
            "failed": failed,
            "archived": counts.archived,
            "deleted": counts.deleted,
        },
    )
    await tx.execute("retention.prune_runs")


async def last_run(tx: Transaction) -> RetentionRun | None:
    """The newest scheduled sweep of the deployment."""
    row = await tx.one("retention.last_run")
    return RetentionRun(**row) if row else None


async def seconds_since_last_run(tx: Transaction) -> float | None:
    """Seconds since the newest scheduled sweep began; None when there was none."""
    row = await tx.one("retention.seconds_since_last_run")
    return float(row["seconds"]) if row else None

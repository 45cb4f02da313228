"""The set-based statements of retention, and the notes of scheduled sweeps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.policy import RetentionLimits
from memory_grpc.domain.retention import RestoredCounts, RetentionCounts, RetentionRun, SimulatedMonth
from memory_grpc.filtering import Where
from memory_grpc.store.database import Transaction

# Before and after all that is stored.
_ALWAYS, _NEVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)

# A message's place in the order of age: when it was said, and its id.
Place = tuple[datetime, UUID]
_BEFORE_ALL: Place = (_ALWAYS, UUID(int=0))


def _params(tenant_id: str, limits: RetentionLimits, now: datetime, batch_size: int = 0) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "now": now,
        "max_age_days": limits.max_age_days,
        "importance_threshold": limits.importance_threshold,
        "delete_after_days": limits.delete_after_days,
        "batch_size": batch_size,
    }


async def archive(tx: Transaction, tenant_id: str, limits: RetentionLimits, now: datetime, batch_size: int) -> int:
    """Moves one batch to the archive; returns its size."""
    row = await tx.one("retention.archive", _params(tenant_id, limits, now, batch_size))
    return int(row["archived"]) if row else 0


async def delete(tx: Transaction, tenant_id: str, limits: RetentionLimits, now: datetime, batch_size: int) -> int:
    """Deletes one batch from the archive; returns its size."""
    row = await tx.one("retention.delete", _params(tenant_id, limits, now, batch_size))
    return int(row["deleted"]) if row else 0


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
        _params(tenant_id, limits, now, batch_size)
        | {"archived_since": archived_since or _ALWAYS, "after_at": after_at, "after_id": after_id}
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

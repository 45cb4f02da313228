"""The set-based statements of retention, and the notes of scheduled sweeps."""

from __future__ import annotations

from datetime import datetime

from memory_grpc.domain.policy import RetentionLimits
from memory_grpc.domain.retention import RetentionCounts, RetentionRun
from memory_grpc.store.database import Params, Transaction


def _params(tenant_id: str, limits: RetentionLimits, now: datetime, batch_size: int = 0) -> Params:
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


async def count_delete(tx: Transaction, tenant_id: str, limits: RetentionLimits, now: datetime) -> int:
    """How many messages deleting would delete."""
    row = await tx.one("retention.count_delete", _params(tenant_id, limits, now))
    return int(row["deleted"]) if row else 0


async def begin_run(tx: Transaction) -> int:
    """Notes that a scheduled sweep begins; returns the note's id."""
    row = await tx.one("retention.begin_run")
    assert row is not None, "an insert that returns nothing"
    return int(row["id"])


async def end_run(tx: Transaction, run_id: int, status: str, tenants: int, counts: RetentionCounts) -> None:
    """Notes how it ended, and drops notes that are too old to matter."""
    await tx.execute(
        "retention.end_run",
        {
            "id": run_id,
            "status": status,
            "tenants": tenants,
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

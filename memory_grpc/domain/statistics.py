"""What a tenant's memory holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TenantStatistics:
    """Counts, each up to a bound; ``estimated_bytes`` is of a sample, ``duplicates`` of the newest messages."""

    live: int
    archived: int
    pending: int
    failed: int
    pinned: int
    revisions: int
    users: int
    conversations: int
    duplicates: int
    estimated_bytes: int
    oldest_message_at: datetime | None
    newest_message_at: datetime | None

"""What a sweep did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class RetentionCounts:
    """How many messages a sweep archived and deleted, or would."""

    archived: int = 0
    deleted: int = 0

    def __add__(self, other: RetentionCounts) -> RetentionCounts:
        return RetentionCounts(self.archived + other.archived, self.deleted + other.deleted)


@dataclass(frozen=True, slots=True)
class RetentionRun:
    """The last scheduled sweep of the deployment."""

    started_at: datetime
    status: str
    archived: int
    deleted: int

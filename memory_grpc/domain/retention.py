"""What a sweep did or would do, and what was taken back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.policy import RetentionLimits


@dataclass(frozen=True, slots=True)
class RetentionCounts:
    """How many messages a sweep archived and deleted, or would."""

    archived: int = 0
    deleted: int = 0

    def __add__(self, other: RetentionCounts) -> RetentionCounts:
        return RetentionCounts(self.archived + other.archived, self.deleted + other.deleted)


@dataclass(frozen=True, slots=True)
class RetentionRun:
    """The last scheduled sweep of the deployment; ``failed`` are tenants, or the forgetting of request ids."""

    started_at: datetime
    status: str
    archived: int
    deleted: int
    failed: int


@dataclass(frozen=True, slots=True)
class SimulatedMonth:
    """What a sweep would do to the messages of a month (``2026-11``, in UTC) and a role; ``kept`` stay live."""

    month: str
    role: str
    archived: int
    deleted: int
    kept: int


@dataclass(frozen=True, slots=True)
class Simulation:
    """What a sweep at ``as_of`` would do by some limits, and some of the messages, the newest first."""

    limits: RetentionLimits
    as_of: datetime
    months: Sequence[SimulatedMonth]
    archived_sample: Sequence[StoredMessage]
    deleted_sample: Sequence[StoredMessage]


@dataclass(frozen=True, slots=True)
class RestoredCounts:
    """How many messages were taken back from the archive, or would be; the next sweep would archive some again."""

    restored: int = 0
    would_archive_again: int = 0

    def __add__(self, other: RestoredCounts) -> RestoredCounts:
        return RestoredCounts(self.restored + other.restored, self.would_archive_again + other.would_archive_again)

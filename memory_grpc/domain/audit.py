"""What is recorded of who did what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

KEY_USE = "key.use"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to record; ``at`` is when it happened, in seconds of the process's monotonic clock."""

    id: UUID
    at: float
    actor: str
    action: str
    outcome: str
    tenant_id: str | None
    request_id: str


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An event that was recorded; ``tenant_id`` None is the deployment as a whole."""

    id: UUID
    happened_at: datetime
    actor: str
    action: str
    outcome: str
    tenant_id: str | None
    request_id: str


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are asked for; None asks for any."""

    tenant_id: str | None = None
    actor: str | None = None
    action: str | None = None
    happened_after: datetime | None = None
    happened_before: datetime | None = None

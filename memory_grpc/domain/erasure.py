"""An erasure, from its plan to what is found of it afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage

Rows = Mapping[str, int]
"""Rows of each table, by its name."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """A row of erasures; what is not known yet is None."""

    tenant_id: str
    id: UUID
    scope: str
    state: str
    planned: int
    erased: int
    planned_rows: Rows
    erased_rows: Rows
    ids_digest: bytes | None
    planned_by: str
    applied_by: str | None
    planned_at: datetime
    expires_at: datetime
    applied_at: datetime | None
    erased_at: datetime | None
    finished_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """A planned erasure, and some of the messages that it means."""

    erasure: Erasure
    sample: Sequence[StoredMessage]


@dataclass(frozen=True, slots=True)
class Check:
    """A place that was looked into, what was found there of erased messages, and how it was looked for."""

    place: str
    found: int
    how: str

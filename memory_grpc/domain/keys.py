"""API keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key to make: ``tenant_ids`` None means every tenant; ``rate_limit`` are calls a minute, 0 none of its own."""

    label: str
    role: str
    tenant_ids: tuple[str, ...] | None
    expires_at: datetime | None = None
    rate_limit: int = 0


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is told of a key."""

    id: UUID
    prefix: str
    label: str
    role: str
    tenant_ids: tuple[str, ...] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    rate_limit: int


@dataclass(frozen=True, slots=True)
class KeyDigest:
    """What a call's key is compared with, and what the key may do."""

    id: UUID
    digest: bytes
    role: str
    tenant_ids: tuple[str, ...] | None
    rate_limit: int

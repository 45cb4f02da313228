"""A message, from its request to the database and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to ingest, already valid."""

    tenant_id: str
    conversation_id: str
    role: str
    content: str
    metadata: Json = field(default_factory=dict)
    importance_override: float | None = None
    name: str | None = None
    created_at: datetime | None = None
    request_id: UUID | None = None
    embed_later: bool | None = None
    user_id: str | None = None
    keep_request_id: bool = False
    pinned: bool = False
    expires_at: datetime | None = None
    ttl_seconds: int | None = None
    """How long after it is stored it expires; one of the two at most."""
    duplicate_window_seconds: int | None = None
    """Not to be stored where the same was said at most so long before; None stores it whatever was said."""
    language: str | None = None
    size: int = field(default=0, compare=False)
    """About how many bytes it has, those of its metadata included; 0 where nobody counted them."""


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """A message that is ready to be stored; the database gives its times where the caller did not."""

    id: UUID
    message: NewMessage
    importance: float
    embedding_status: str


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message as the store holds it; ``archived_at`` is None while it is searchable, ``user_id`` where it is
    nobody's."""

    id: UUID
    tenant_id: str
    conversation_id: str
    role: str
    name: str | None
    content: str
    metadata: Json
    importance: float
    embedding_status: str
    created_at: datetime
    updated_at: datetime
    user_id: str | None = None
    archived_at: datetime | None = None
    pinned: bool = False
    expires_at: datetime | None = None
    revision: int = 1
    language: str | None = None

    @property
    def etag(self) -> str:
        """Another after each update."""
        return str(self.revision)


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a message: as it is stored, and whether it was stored before, under the same request_id."""

    message: StoredMessage
    repeated: bool

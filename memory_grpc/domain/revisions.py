"""Updates of messages, and what they were before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage


@dataclass(frozen=True, slots=True)
class MessageUpdate:
    """What to change of a message: ``changes`` by field, content, metadata, name, user_id, importance_override, pinned
    and expires_at; None clears one. ``etag`` is that of the message that the caller has seen."""

    message_id: UUID
    tenant_id: str
    changes: Mapping[str, Any]
    etag: str | None = None
    request_id: UUID | None = None
    embed_later: bool | None = None


@dataclass(frozen=True, slots=True)
class Revision:
    """What a message was from one moment to another."""

    message: StoredMessage
    valid_from: datetime
    valid_to: datetime

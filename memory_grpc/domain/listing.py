"""Lists of a tenant's memory: what is asked for, and what they show beside messages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from memory_grpc.domain.search import SearchFilters


@dataclass(frozen=True, slots=True)
class MessageList:
    """Which messages to list, and in which order; ``has_total`` asks how many they are on all pages together."""

    tenant_id: str
    filters: SearchFilters
    newest_first: bool = False
    has_total: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation of which messages are stored; all but the id and the first time is told of its newest messages."""

    conversation_id: str
    first_message_at: datetime
    last_message_at: datetime
    message_count: int
    archived_count: int
    user_count: int
    user_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class User:
    """An end user whose messages are stored; likewise."""

    user_id: str
    first_message_at: datetime
    last_message_at: datetime
    message_count: int
    archived_count: int

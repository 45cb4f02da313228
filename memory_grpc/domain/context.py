"""A context for a prompt, and what it is built from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.filtering import Node
from memory_grpc.ranking.budget import Reason

MAX_TOKENS = 1_000
RECENT_TURNS = 10
RECENT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class ContextRequest:
    """What to build: ``where`` is what messages must pass, besides being of ``user_id`` where that is set, and
    ``zone`` whose days the dates of the query are, ``language`` its own."""

    tenant_id: str
    query: str
    user_id: str | None = None
    conversation_id: str | None = None
    where: Node | None = None
    max_tokens: int = MAX_TOKENS
    recent_turns: int = RECENT_TURNS
    recent_share: float = RECENT_SHARE
    ranking: str | None = None
    min_score: float | None = None
    neighbours: int = 0
    as_of: datetime | None = None
    zone: tzinfo | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """A message of a context; ``score`` is None where the search did not find it, ``tokens`` are those of its line."""

    message: StoredMessage
    reason: Reason
    score: float | None
    tokens: int


@dataclass(frozen=True, slots=True)
class Missed:
    """A message that did not fit; ``tokens`` is None where it was too long to be counted."""

    message_id: UUID
    reason: Reason
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Context:
    """Messages in the order they were said, their rendering, and what was left out."""

    parts: tuple[Part, ...]
    text: str
    total_tokens: int
    tokenizer: str
    ranking: str
    as_of: datetime
    pending: int
    too_long: int
    repeated_text: int
    low_score: int
    best_missed: tuple[Missed, ...]
    reranked: bool | None = None
    """Whether a reranker read the best memories again; None where it was not asked."""

"""The values that operations and the store exchange: plain, immutable, free of protobuf and SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from memory_grpc.filtering import Node
from memory_grpc.ranking.weights import HybridWeights

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


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a message: as it is stored, and whether it was stored before, under the same request_id."""

    message: StoredMessage
    repeated: bool


@dataclass(frozen=True, slots=True)
class SearchFilters:
    """Which messages a search ranks: those that pass ``where`` (None: all), live ones unless it says otherwise."""

    where: Node | None = None
    include_archived: bool = False
    candidate_limit: int | None = None
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a score: weight · value."""

    name: str
    weight: float
    value: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """A message that was ranked; the terms add up to the score."""

    message_id: UUID
    score: float
    similarity: float
    importance: float
    decay: float
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that was found, why, and the turns before and after it where they were asked for."""

    ranked: Ranked
    message: StoredMessage
    neighbours: tuple[list[StoredMessage], list[StoredMessage]] | None = None


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """What to look for: ``ranking`` None leaves it to the policy; ``neighbours`` counts turns to each side; ``explain``
    asks how it was ranked."""

    tenant_id: str
    query: str
    filters: SearchFilters = field(default_factory=SearchFilters)
    top_k: int = 5
    ranking: str | None = None
    neighbours: int = 0
    explain: bool = False


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first, and how they were ranked; ``candidates`` were ranked, if that was asked for. ``pending``
    messages pass the filters and are not embedded, counted to 10,000."""

    hits: tuple[Hit, ...]
    ranking: str
    exact: bool
    candidates: int
    weights: Mapping[str, float]
    model: str
    as_of: datetime
    pending: int


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """When messages leave: ages in days, importance 0..1."""

    max_age_days: float = 30.0
    importance_threshold: float = 0.35
    delete_after_days: float = 90.0


@dataclass(frozen=True, slots=True)
class ImportanceWeights:
    """Weights of importance at ingest."""

    recency: float = 0.4
    role: float = 0.2
    explicit: float = 0.4

    @property
    def are_nothing(self) -> bool:
        """All 0: every message would be as unimportant as can be, and archived by the next sweep."""
        return not any(astuple(self))


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """Weights of the score of a search."""

    similarity: float = 0.6
    importance: float = 0.3
    decay: float = 0.1

    @property
    def are_nothing(self) -> bool:
        """All 0: every message would score the same."""
        return not any(astuple(self))


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds for a tenant; ``overrides`` names the values that are its own (``retention.max_age_days``)."""

    retention: RetentionLimits = field(default_factory=RetentionLimits)
    importance: ImportanceWeights = field(default_factory=ImportanceWeights)
    score: ScoreWeights = field(default_factory=ScoreWeights)
    hybrid: HybridWeights = field(default_factory=HybridWeights)
    ranking: str = "semantic"
    overrides: tuple[str, ...] = ()
    updated_at: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key to make: ``tenant_ids`` None means every tenant."""

    label: str
    role: str
    tenant_ids: tuple[str, ...] | None
    expires_at: datetime | None = None


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


@dataclass(frozen=True, slots=True)
class KeyDigest:
    """What a call's key is compared with, and what the key may do."""

    id: UUID
    digest: bytes
    role: str
    tenant_ids: tuple[str, ...] | None

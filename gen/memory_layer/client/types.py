"""What the client takes and returns, as dataclasses. Written by `make gen` from the protos; do not edit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = [
    "ApiKey",
    "AuditEvent",
    "BatchIngestMessagesResponse",
    "BuildContextResponse",
    "ContextMessage",
    "Conversation",
    "CreateApiKeyResponse",
    "DeleteMessageResponse",
    "EmbeddingModel",
    "Erasure",
    "ErasureCheck",
    "ErasureLimit",
    "ErasureReceipt",
    "GetHealthResponse",
    "Graph",
    "HitExplanation",
    "HybridWeights",
    "ImportResponse",
    "ImportanceWeights",
    "IngestMessageRequest",
    "LeftOut",
    "LeftOutMessage",
    "ListApiKeysResponse",
    "ListConversationsResponse",
    "ListEventsResponse",
    "ListGraphsResponse",
    "ListMessagesResponse",
    "ListRevisionsResponse",
    "ListUsersResponse",
    "MemoryHit",
    "Message",
    "Neighbours",
    "PlanErasureResponse",
    "QueryComparison",
    "Reembedding",
    "ReembeddingComparison",
    "RestoreArchivedResponse",
    "RetentionPolicy",
    "RetentionStatus",
    "RetryFailedEmbeddingsResponse",
    "Revision",
    "RunRetentionResponse",
    "ScoreTerm",
    "ScoreWeight",
    "ScoreWeights",
    "ScoredMessage",
    "SearchExplanation",
    "SearchMemoriesResponse",
    "SimulateRetentionResponse",
    "SimulatedMonth",
    "StorageQuota",
    "StreamIngestResponse",
    "TableRows",
    "TenantPolicy",
    "TenantStatistics",
    "TransferEmbedding",
    "TransferHeader",
    "TransferMessage",
    "TransferPolicy",
    "TransferRecord",
    "TransferRevision",
    "TransferRevisions",
    "User",
    "VerifyErasureResponse",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as the service stores it. The key itself is not stored, only a digest and the prefix by which it is found.
    """

    id: str = ""
    """Set by the server: a UUID."""

    prefix: str = ""
    """The part of the key between `mk_` and the next `_`. It identifies the key in logs and lists, and grants nothing.
    """

    label: str = ""
    """What the key is for, as stated when it was created."""

    role: str = ""
    """`reader` (gets and searches), `writer` (also stores, updates and deletes) or `admin` (also everything under
    `/v1/admin`).
    """

    tenant_ids: tuple[str, ...] = ()
    """The tenants that the key has access to, compared byte for byte; empty with `all_tenants`."""

    all_tenants: bool = False
    """True when the key has access to every tenant, including future ones."""

    created_at: datetime
    """When the key was created."""

    expires_at: datetime | None = None
    """When the key expires; not set when it does not."""

    revoked_at: datetime | None = None
    """When the key was revoked; not set unless it was."""

    rate_limit: int = 0
    """Calls per minute that are allowed with the key; 0 when it has no limit of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One recorded action."""

    id: str = ""
    """Its id."""

    happened_at: datetime
    """When."""

    actor: str = ""
    """Who: `key:` and the prefix of a created key, `jwt:` and the subject of a token, `setting:` and the number of one
    of MEMORY_API_KEYS, or `anonymous`.
    """

    action: str = ""
    """What: service and RPC, or `key.use`."""

    outcome: str = ""
    """The outcome: OK, or the name of a gRPC code such as PERMISSION_DENIED; STARTED when an export began."""

    tenant_id: str = ""
    """The tenant that the call named, or the only one that the key has access to; empty for the deployment as a whole.
    A call that named several tenants is recorded once for each.
    """

    request_id: str = ""
    """`x-request-id` of the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchIngestMessagesResponse:
    """What was stored."""

    messages: tuple[Message, ...] = ()
    """The stored messages, in the order of the request."""

    repeated_indexes: tuple[int, ...] = ()
    """Which of them had been stored before, under the same `request_id`: their places in `messages`, counted from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContextResponse:
    """What to put into the prompt."""

    total_tokens: int = 0
    """How many tokens `text` has: never more than `max_tokens`."""

    messages: tuple[ContextMessage, ...] = ()
    """The messages, in the order in which they were said."""

    text: str = ""
    """The same as text for a prompt: a line for each message, such as `[2026-11-14 20:30] Caroline: I love Python`.
    Times are in UTC; without a name, the role is shown. Further lines of a message are indented, so that none looks
    like another message.
    """

    left_out: LeftOut
    """What was considered but left out."""

    tokenizer: str = ""
    """What counted the tokens: the name of the embedding model or of the file MEMORY_CONTEXT_TOKENIZER, or `4 bytes a
    token` if there is neither.
    """

    ranking: str = ""
    """The ranking that found the memories."""

    as_of: datetime
    """The moment that it was built for. A request with this as its `as_of` builds the same context from the same
    memory.
    """

    pending: int = 0
    """How many messages pass the filters but cannot be found yet because they have no embedding; counted up to 10,000.
    """

    reranked: bool | None = None
    """Whether the deployment's reranker reread the best memories; false when it failed or was too slow, not set when
    it was not asked.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextMessage:
    """A message of the context, and why it was chosen."""

    message: Message
    """The message."""

    reason: str = ""
    """`pinned`, `recent`, `relevant` or `neighbour`: the first of these that applies."""

    score: float | None = None
    """Its score in the search, if the search found it."""

    tokens: int = 0
    """How many tokens its line of `text` has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation with stored messages, live or archived."""

    conversation_id: str = ""
    """Which one."""

    first_message_at: datetime
    """When its first message was said."""

    last_message_at: datetime
    """When its last message was said."""

    message_count: int = 0
    """How many messages it has, including archived ones. This and the fields below cover at most its newest 10,000
    messages.
    """

    archived_count: int = 0
    """How many of them are archived."""

    user_count: int = 0
    """How many end users these messages belong to."""

    user_ids: tuple[str, ...] = ()
    """These end users, the first 20 in byte order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateApiKeyResponse:
    """The new key."""

    key: str = ""
    """The key to send as `x-api-key`. Shown here and never again."""

    api_key: ApiKey
    """What the service stores of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteMessageResponse:
    """What was erased."""

    message_id: str = ""
    """The id of the erased message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingModel:
    """What identifies a model: vectors of two models that differ in any of these are never compared."""

    name: str = ""
    """Its name."""

    revision: str = ""
    """Digest of its weights."""

    precision: str = ""
    """`fp32`, `bf16`, or `remote`."""

    dimensions: int = 0
    """Length of its vectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """An erasure, from its plan to its completion."""

    erasure_id: str = ""
    """Its id."""

    tenant_id: str = ""
    """The tenant."""

    scope: str = ""
    """What was selected by: `filter`, `user`, `conversation` or `whole_tenant`. The value is not kept."""

    state: str = ""
    """`planned`; `erasing`: messages are erased batch by batch; `cleaning`: all are erased, words are counted again
    and the tables are vacuumed, so that nothing stays in indexes and statistics; `done`.
    """

    planned: int = 0
    """Messages that were planned."""

    erased: int = 0
    """Messages erased so far. At the end this may be less than planned, if some were deleted in another way."""

    planned_rows: tuple[TableRows, ...] = ()
    """Rows of each table, as counted by the plan."""

    erased_rows: tuple[TableRows, ...] = ()
    """Rows of each table erased so far."""

    planned_at: datetime
    """When it was planned."""

    expires_at: datetime
    """The moment until which it can be applied."""

    applied_at: datetime | None = None
    """When it was applied; not set until then."""

    finished_at: datetime | None = None
    """When it was done; not set until then."""

    last_error: str = ""
    """The class of the error that holds up the work; empty when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureCheck:
    """One thing that was checked."""

    place: str = ""
    """A table, or whatever else was checked."""

    found: int = 0
    """How many traces of the erased messages were found there; it should be 0."""

    how: str = ""
    """What was compared, described in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureLimit:
    """One thing that cannot be checked."""

    place: str = ""
    """What it is."""

    advice: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt:
    """A record of an erasure that may be kept."""

    erasure: Erasure
    """The erasure, done."""

    ids_digest: str = ""
    """SHA-256, in hexadecimal, over the planned ids, as 16 bytes each, in order. Anyone who has kept the ids can show
    that these were the ones.
    """

    planned_by: str = ""
    """The id of the key that planned it; `settings` for one of MEMORY_API_KEYS, `none` if there were no keys."""

    applied_by: str = ""
    """The key that applied it, likewise."""

    erased_at: datetime | None = None
    """When the last message was erased."""

    kept: tuple[str, ...] = ()
    """What is kept on purpose, described in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetHealthResponse:
    """The health of the service."""

    status: str = ""
    """`ok`, or `degraded` while the database is down or accepts no writes."""

    database: str = ""
    """`ok`; `read_only` while the database answers but accepts no writes; or `down`."""

    timestamp: datetime
    """The server's time."""

    latency_ms: float = 0.0
    """Round trip to the database in milliseconds; 0 while it is down."""

    uptime_seconds: int = 0
    """Seconds since this process started."""

    environment: str = ""
    """MEMORY_ENVIRONMENT."""

    version: str = ""
    """The version of the service."""

    retention: RetentionStatus | None = None
    """The retention job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """The graph of a large tenant, over its embeddings."""

    tenant_id: str = ""
    """The tenant."""

    state: str = ""
    """`building`, `ready`, `failed` or `dropping`. A failed build is tried again."""

    messages: int = 0
    """Messages of the tenant when the build began. Later ones are in the graph too."""

    megabytes: float = 0.0
    """Size on disk, in megabytes."""

    started_at: datetime
    """When the build began."""

    finished_at: datetime | None = None
    """When the build ended, successfully or not; not set while it is running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HitExplanation:
    """The terms of a hit's score."""

    terms: tuple[ScoreTerm, ...] = ()
    """The terms that add up to the score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridWeights:
    """relevance = cosine + lexical·BM25 + near·(best turn within three) + after·(the turn right after it) +
    conversation·(best turn of the conversation) + coverage·(share of the query's words near it) + date·(how well
    the query's dates fit) + speaker·[the query names the speaker] + asks_when·[a word of time, where the query asks
    when] + first_person·[it speaks of its speaker] + question·[it ends with a question mark] + assistant·[an
    assistant said it] + rerank·(what the reranker says of one of the best 50); divided by the best relevance of the
    search. 0 switches a part off. See docs/ranking.md.
    """

    lexical: float | None = None
    """Weight of words. The deployment's default is that of its recipe."""

    conversation: float | None = None
    """Weight of the best turn of the conversation. The deployment's default is that of its recipe."""

    date: float | None = None
    """Weight of a date that the query names. The deployment's default is that of its recipe."""

    speaker: float | None = None
    """Weight of a speaker that the query names. The deployment's default is that of its recipe."""

    previous: float | None = None
    """The share of a word's count in the previous turn that counts for a message too; half of it for the turn before
    that. The deployment's default is 0.5.
    """

    names_to_i: bool | None = None
    """Whether the query is embedded with the names of participants as "I". The deployment's default is true."""

    recipe: str | None = None
    """Where weights that are not set come from: `surroundings` or `conversation`. The deployment's default is
    `surroundings`.
    """

    near: float | None = None
    """Weight of the best turn within three turns. The deployment's default is that of its recipe."""

    after: float | None = None
    """Weight of the turn right after it, by its similarity and words. The deployment's default is that of its recipe.
    """

    coverage: float | None = None
    """Weight of the share of the query's words found nearby. The deployment's default is that of its recipe."""

    asks_when: float | None = None
    """Weight of a word of time, if the query asks when. The deployment's default is that of its recipe."""

    first_person: float | None = None
    """Weight of a turn in which its speaker talks about themselves. The deployment's default is that of its recipe."""

    question: float | None = None
    """Weight of a turn that ends with a question mark. The deployment's default is that of its recipe."""

    assistant: float | None = None
    """Weight of a turn of the role `assistant`. The deployment's default is that of its recipe."""

    rerank: float | None = None
    """Weight of the deployment's reranker's judgement of one of the best 50, 0 to 1; without a reranker it has no
    effect. With 0, nothing is sent to the reranker. The deployment's default is 1.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResponse:
    """What happened to the messages: those in none of the lists were stored."""

    stored: int = 0
    """How many were stored."""

    repeated_indexes: tuple[int, ...] = ()
    """Which of them the tenant already had: their places in the request, counted from 0."""

    conflicting_indexes: tuple[int, ...] = ()
    """Which of them differ from what the tenant has under the same id, which stays: their places in the request."""

    pending: int = 0
    """How many of the stored messages have yet to be embedded; search does not find them until then."""

    erased_indexes: tuple[int, ...] = ()
    """Which of them had been erased, and stay erased: their places in the request."""

    ignored_revisions_indexes: tuple[int, ...] = ()
    """Which of `revisions` were ignored, because the tenant does not have their message or has another history of it:
    their places in the request.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportanceWeights:
    """importance = recency·max(0, 1 − age/24 h) + role·(system .9, user .7, assistant .5) +
    explicit·importance_override, clamped to 0..1.
    """

    recency: float | None = None
    """Weight of recency. The deployment's default is 0.4."""

    role: float | None = None
    """Weight of the role. The deployment's default is 0.2."""

    explicit: float | None = None
    """Weight of importance_override. The deployment's default is 0.4."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestMessageRequest:
    """One message to store."""

    tenant_id: str = ""
    """Which product or customer the message belongs to."""

    conversation_id: str
    """Which conversation of the tenant."""

    role: str
    """Who speaks: `user`, `assistant` or `system`."""

    content: str
    """The text. Text longer than the model's window is embedded in overlapping windows, so that all of it can be
    found.
    """

    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Any fields of the caller's own; returned as they were sent. Numbers are doubles, as in JSON: whole numbers from
    2^53 on are refused, because doubles cannot tell them apart. Send such ids as text.
    """

    importance_override: float | None = None
    """The caller's own rating of the message's importance; counts as 0 when not set."""

    name: str | None = None
    """The speaker's name; questions that name a speaker find that speaker's messages."""

    created_at: datetime | None = None
    """When the message was said, for back-fills; the server's time when not set. At most one day in the future."""

    request_id: str | None = None
    """The caller's own id for this request: a UUID, as in AIP-155. The same id and body, sent again within 24 hours
    (MEMORY_IDEMPOTENCY_HOURS), stores nothing and returns the stored message. Unique within the tenant.
    """

    embed_later: bool | None = None
    """Store and answer immediately, with `embedding_status` `pending`, and embed afterwards. MEMORY_ASYNC_EMBEDDINGS
    when not set.
    """

    user_id: str | None = None
    """The end user whose memory this belongs to, compared byte for byte. When not set, it is taken from `metadata`, if
    that has a text under the key named by MEMORY_USER_ID_METADATA_KEY.
    """

    keep_request_id: bool = False
    """Remember `request_id` for as long as the message is kept, instead of 24 hours. For imports that may be run again
    weeks later.
    """

    pinned: bool = False
    """Never archived by retention."""

    expires_at: datetime | None = None
    """From this moment on, nothing shows the message, and the next sweep erases it. Must be in the future. When not
    set, retention decides how long the message is kept.
    """

    ttl_seconds: int | None = None
    """The same as a number of seconds from ingest, whatever `created_at` says. Give this or `expires_at`, not both."""

    on_duplicate: str | None = None
    """What to do with a duplicate: the same words by the same role, in the same conversation, for the same user, at
    most `duplicate_window_seconds` earlier. `store`, the default, stores it too; `return_existing` stores nothing
    and returns the existing message, as for a repeated `request_id`.
    """

    duplicate_window_seconds: int | None = None
    """How many seconds apart two messages may be and still count as duplicates, up to a year; an hour when not set."""

    language: str | None = None
    """The language of the text, as a BCP 47 tag. It decides how words are stemmed for the hybrid ranking, and which
    are ignored. The tenant's language when not set. In languages without a stemmer, words are matched as they are,
    without case and accents.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What did not go into the context."""

    too_long: int = 0
    """Messages that did not fit."""

    repeated_text: int = 0
    """Messages whose text is already in the context, or is the question itself."""

    low_score: int = 0
    """Memories below `min_score`."""

    best: tuple[LeftOutMessage, ...] = ()
    """Those that did not fit, best first, at most 10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutMessage:
    """A message that did not fit."""

    message_id: str = ""
    """Its id."""

    reason: str = ""
    """Why it was considered."""

    tokens: int | None = None
    """How many tokens its line would have; not set when it was too long to be counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListApiKeysResponse:
    """A page of keys."""

    api_keys: tuple[ApiKey, ...] = ()
    """Keys in the order in which they were created, including revoked and expired ones."""

    next_page_token: str = ""
    """The token of the next page; empty on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConversationsResponse:
    """A page of conversations."""

    conversations: tuple[Conversation, ...] = ()
    """Conversations in the byte order of their ids."""

    next_page_token: str = ""
    """The token of the next page; empty on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEventsResponse:
    """A page of events."""

    events: tuple[AuditEvent, ...] = ()
    """The newest first."""

    next_page_token: str = ""
    """The token of the next page; empty on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListGraphsResponse:
    """The graphs."""

    graphs: tuple[Graph, ...] = ()
    """The graphs, ordered by tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMessagesResponse:
    """A page of messages."""

    messages: tuple[Message, ...] = ()
    """The messages, in the requested order. There may be fewer than `page_size` if the texts are long: a page holds
    about 16 MiB of them.
    """

    next_page_token: str = ""
    """The token of the next page; empty on the last page."""

    total_size: int | None = None
    """How many messages pass, on all pages together; set with `include_total`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRevisionsResponse:
    """A page of revisions."""

    revisions: tuple[Revision, ...] = ()
    """The previous states of the message, the most recent first. Empty when it was never updated. There may be fewer
    than `page_size` if the texts are long: a page holds about 16 MiB of them.
    """

    next_page_token: str = ""
    """The token of the next page; empty on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUsersResponse:
    """A page of end users."""

    users: tuple[User, ...] = ()
    """Users in the byte order of their ids."""

    next_page_token: str = ""
    """The token of the next page; empty on the last page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryHit:
    """One message that was found, and why it ranks where it does."""

    message_id: str = ""
    """The id of the message."""

    score: float = 0.0
    """0.6·similarity + 0.3·importance + 0.1·decay with the default weights."""

    similarity: float = 0.0
    """Cosine similarity of the query and the message's best window, -1 to 1."""

    decay: float = 0.0
    """exp(-age in days / 7), 0 to 1."""

    content: str = ""
    """The text of the message."""

    role: str = ""
    """Its role."""

    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Its metadata; an empty object when there is none."""

    created_at: datetime
    """When it was said."""

    importance: float = 0.0
    """Its importance, 0 to 1."""

    conversation_id: str = ""
    """Its conversation."""

    name: str | None = None
    """The speaker's name, if the caller gave one."""

    explanation: HitExplanation | None = None
    """The terms of the score; set with `explain`."""

    neighbours: Neighbours | None = None
    """The turns around it; set with `neighbours`."""

    archived_at: datetime | None = None
    """When retention archived it; not set while it is live."""

    user_id: str | None = None
    """The end user whose memory it belongs to; not set when it belongs to nobody."""

    relevance: float = 0.0
    """How likely it is to answer the query. Comparable between searches, unlike `score`: the similarity, plus, with
    `hybrid`, up to 0.4 for the query's words near it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, as stored."""

    id: str = ""
    """Set by the server: a UUID."""

    tenant_id: str = ""
    """The product or customer the message belongs to. Compared byte for byte: `A` and `a` are two tenants."""

    conversation_id: str = ""
    """The conversation within the tenant. Compared byte for byte."""

    role: str = ""
    """`user`, `assistant` or `system`."""

    name: str | None = None
    """The speaker's name, if the caller gave one."""

    content: str = ""
    """The text, as sent."""

    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The caller's own fields, as sent; an empty object when there were none."""

    importance_score: float = 0.0
    """Importance at ingest, 0 to 1: 0.4·recency + 0.2·role + 0.4·explicit with the default weights."""

    embedding_status: str = ""
    """`pending` (stored, not searchable yet), `completed` (searchable) or `failed` (stored, not searchable: the model
    refused it).
    """

    created_at: datetime
    """When the message was said: the server's time of ingest unless the caller gave another."""

    updated_at: datetime
    """When the stored row last changed."""

    archived_at: datetime | None = None
    """When retention moved the message to the archive; not set while it is searchable."""

    user_id: str | None = None
    """The end user whose memory it belongs to; not set when it belongs to nobody."""

    pinned: bool | None = None
    """True when retention never archives the message; not set otherwise."""

    expires_at: datetime | None = None
    """The moment from which nothing shows the message, and the next sweep erases it; not set when it does not expire.
    """

    etag: str = ""
    """Identifies the current state of the message, for UpdateMessage; changes with each update. Opaque."""

    language: str | None = None
    """The language of the text, if the caller gave one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The turns around a hit in its conversation."""

    before: tuple[Message, ...] = ()
    """The turns before it, oldest first."""

    after: tuple[Message, ...] = ()
    """The turns after it, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanErasureResponse:
    """What would be erased."""

    erasure: Erasure
    """The plan, to be applied by its `erasure_id`."""

    sample: tuple[Message, ...] = ()
    """Some of the messages, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryComparison:
    """How the first ten hits of one query change. Never contains its text."""

    tenant_id: str = ""
    """The tenant."""

    message_id: str = ""
    """The stored message that was used as the query; empty for the caller's own query."""

    overlap: float = 0.0
    """The share of hits that both models find, 0 to 1."""

    first_changed: bool = False
    """Whether the first hit is different."""

    before: tuple[ScoredMessage, ...] = ()
    """The hits of the model in use, best first."""

    after: tuple[ScoredMessage, ...] = ()
    """The hits of the new model, best first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reembedding:
    """A change of model."""

    id: int = 0
    """Its id."""

    tenant_id: str | None = None
    """The tenant; not set when it covers every tenant."""

    state: str = ""
    """`running` while vectors are made; `ready` for the cut-over; `cut_over` while the old vectors are removed;
    `done`; or `cancelled`.
    """

    previous_model: EmbeddingModel
    """The model in use when it was started."""

    model: EmbeddingModel
    """The new model."""

    total: int = 0
    """Messages to embed, including archived ones and those that have arrived since the start."""

    embedded: int = 0
    """How many of them have the new model's vectors."""

    refused: int = 0
    """Texts that the new model has refused several times; the cut-over makes them `pending`, to be tried again."""

    keep_old: bool = False
    """Whether the old vectors are kept."""

    last_error: str = ""
    """The class of the error that holds up the work in the background; empty when there is none."""

    started_at: datetime
    """When it was started."""

    cut_over_at: datetime | None = None
    """When searches switched to the new vectors."""

    finished_at: datetime | None = None
    """When it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReembeddingComparison:
    """How the first ten hits change."""

    asked: int = 0
    """The number of queries."""

    compared: int = 0
    """How many of them were compared in the time available."""

    overlap: float = 0.0
    """The mean share of the first ten hits that both models find, 0 to 1."""

    first_changed: float = 0.0
    """The share of queries with a different first hit, 0 to 1."""

    rank_change: float = 0.0
    """By how many places, on average, a hit that both models find has moved."""

    details: tuple[QueryComparison, ...] = ()
    """Each query, in order; set with `details`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreArchivedResponse:
    """What was restored, or would be."""

    restored: int = 0
    """Messages that are live again."""

    would_archive_again: int = 0
    """How many of these the next sweep would archive again under the tenant's current policy. To keep them live,
    change the policy or pin the messages.
    """

    dry_run: bool = False
    """True when nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """When messages are archived and deleted."""

    max_age_days: float | None = None
    """Messages older than this many days are archived. The deployment's default is 30."""

    importance_threshold: float | None = None
    """Messages less important than this are archived. The deployment's default is 0.35."""

    delete_after_days: float | None = None
    """Archived messages are deleted this many days after they were archived; 36,500 means never. The deployment's
    default is 90.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionStatus:
    """What the scheduled retention job did last, on any server of the deployment."""

    schedule_seconds: float = 0.0
    """Seconds between two sweeps; 0 when the scheduler is off."""

    last_status: str = ""
    """`never`, `running`, `ok` or `failed`; `unknown` while the database is down."""

    last_run_at: datetime | None = None
    """When the last sweep began; not set when there was none."""

    archived: int = 0
    """Messages it archived, of all tenants."""

    deleted: int = 0
    """Messages it deleted, of all tenants."""

    deletes_archives: bool = False
    """Whether sweeps delete from the archives of tenants whose policy does not set `delete_after_days`: true when the
    scheduler is on and `delete_after_days` is below 36,500, which means never.
    """

    delete_after_days: float = 0.0
    """After how many days in the archive they do. The deployment's default; a tenant's own value is in its policy."""

    failed: int = 0
    """Tenants that the last sweep could not finish, and the next one will try again; the log has the class of each
    error.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryFailedEmbeddingsResponse:
    """What will be tried again."""

    queued: int = 0
    """The number of messages queued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A previous state of a message."""

    message: Message
    """The message as it was. `archived_at` is the present one, since archiving is not an update."""

    valid_from: datetime
    """The moment from which this state applied."""

    valid_to: datetime
    """When it was updated, which ended this state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRetentionResponse:
    """What a sweep did, or would do."""

    archived: int = 0
    """Messages moved to the archive."""

    deleted: int = 0
    """Messages deleted from the archive, and expired ones."""

    dry_run: bool = False
    """True when nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTerm:
    """One term of a score. The score is the sum of weight · value over the terms, within 1e-6."""

    name: str = ""
    """What it is: `similarity`, `importance` or `decay`; with `hybrid` also `lexical`, `conversation`, `date` and
    `speaker`; those of `near`, `after`, `coverage`, `asks_when`, `first_person`, `question` and `assistant` whose
    weight is not 0; `rerank` if the deployment's reranker was asked; and `floor`, which lifts a relevance below
    zero to zero.
    """

    weight: float = 0.0
    """Its weight in this response."""

    value: float = 0.0
    """Its value for this hit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWeight:
    """A weight of the ranking."""

    name: str = ""
    """What it weighs, such as `similarity`."""

    weight: float = 0.0
    """The weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWeights:
    """score = similarity·cosine + importance·importance_score + decay·exp(−age in days / 7)."""

    similarity: float | None = None
    """Weight of similarity. The deployment's default is 0.6."""

    importance: float | None = None
    """Weight of importance. The deployment's default is 0.3."""

    decay: float | None = None
    """Weight of decay. The deployment's default is 0.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredMessage:
    """A hit by its id."""

    message_id: str = ""
    """The message."""

    score: float = 0.0
    """Its score."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchExplanation:
    """How a search was ranked."""

    ranking: str = ""
    """`semantic` or `hybrid`."""

    exact: bool = False
    """True when every candidate was scored; false when only a pool was: what a graph proposed, or, in the hybrid
    ranking of a large tenant, the most promising of what passes the filters.
    """

    candidates: int = 0
    """How many messages passed the filters and were ranked; for a large tenant, those of the pool."""

    weights: tuple[ScoreWeight, ...] = ()
    """The weights from the policy."""

    model: str = ""
    """The model whose vectors were compared."""

    as_of: datetime
    """The moment that ages were counted up to. A request with this as its `as_of` ranks the same memory the same way.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchMemoriesResponse:
    """The best hits, best first."""

    total: int = 0
    """The number of hits in `items`."""

    items: tuple[MemoryHit, ...] = ()
    """The hits."""

    explanation: SearchExplanation | None = None
    """How they were ranked; set with `explain`."""

    pending: int = 0
    """How many messages pass the filters but cannot be found yet because they have no embedding; counted up to 10,000.
    """

    relevance: float | None = None
    """The highest `relevance` found, including hits below `min_relevance`; not set when nothing was found."""

    reranked: bool | None = None
    """Whether the deployment's reranker reread the best hits. False when it failed or was too slow: the hits are then
    in the order without it. Not set when it was not asked: there is none, its weight in the policy is 0, or the
    ranking is `semantic`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateRetentionResponse:
    """What a sweep would do."""

    retention: RetentionPolicy
    """The policy that was simulated, with all its values."""

    as_of: datetime
    """The moment of the sweep."""

    archived: int = 0
    """Messages that would be archived."""

    deleted: int = 0
    """Messages that would be deleted: from the archive, and expired ones."""

    kept: int = 0
    """Messages that would stay live."""

    months: tuple[SimulatedMonth, ...] = ()
    """The same by the month in which messages were said, in UTC, and by role; the oldest month first. A month with
    nothing live and nothing to delete is left out.
    """

    archived_sample: tuple[Message, ...] = ()
    """Some of the messages that would be archived, the newest first."""

    deleted_sample: tuple[Message, ...] = ()
    """Some of the messages that would be deleted, the newest first. Expired ones are never shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedMonth:
    """The messages of a month and a role."""

    month: str = ""
    """The month in which they were said, in UTC."""

    role: str = ""
    """Their role."""

    archived: int = 0
    """How many would be archived."""

    deleted: int = 0
    """How many would be deleted."""

    kept: int = 0
    """How many would stay live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageQuota:
    """How much a tenant may store, live and archived, including expired messages until the next sweep. What does not
    fit is refused with RESOURCE_EXHAUSTED and the reason QUOTA_EXCEEDED, without `retry-after`: it fits only once
    something has been deleted or the quota raised. The store is counted from time to time; in between, each server
    counts only its own writes, so several servers together may exceed the quota by what they stored since the last
    count (docs/retention.md says when that is).
    """

    max_messages: int | None = None
    """Messages; 0 means no limit. The deployment's default is 0."""

    max_bytes: int | None = None
    """Bytes of content and metadata as UTF-8 text, including revisions; 0 means no limit. The deployment's default is
    0. Vectors, words and indexes are not counted: on disk, a message takes several times as much.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamIngestResponse:
    """Says that a message of the stream is committed."""

    sequence: int = 0
    """Which one: its place in the stream, counted from 0."""

    message_id: str = ""
    """The id that it is stored under."""

    embedding_status: str = ""
    """`completed`, or `pending` when it is embedded later."""

    is_repeated: bool = False
    """True when it had been stored before, under the same `request_id`; false when it was stored now."""

    importance_score: float = 0.0
    """Its importance, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRows:
    """Rows of one table."""

    table: str = ""
    """The table."""

    rows: int = 0
    """How many rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantPolicy:
    """The policy in force for a tenant."""

    tenant_id: str = ""
    """The tenant."""

    retention: RetentionPolicy | None = None
    """When messages are archived and deleted."""

    importance_weights: ImportanceWeights | None = None
    """How importance is computed at ingest."""

    score_weights: ScoreWeights | None = None
    """How the score is computed in a search."""

    overrides: tuple[str, ...] = ()
    """The values that are the tenant's own, such as `retention.max_age_days`; all others are the deployment's."""

    updated_at: datetime | None = None
    """When the tenant's own policy was last set; not set when it has none."""

    hybrid_weights: HybridWeights | None = None
    """How relevance is computed in a hybrid search."""

    ranking: str = ""
    """The ranking of searches that do not name one."""

    time_zone: str = ""
    """The time zone of dates in queries that do not name one."""

    language: str | None = None
    """The language of messages and queries that do not name one; when not set, MEMORY_SEARCH_TEXT_CONFIG applies."""

    quota: StorageQuota | None = None
    """How much the tenant may store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStatistics:
    """What is stored for a tenant. Expired messages count until a sweep has erased them. Counts are exact up to a
    bound; the bound itself means that many or more.
    """

    tenant_id: str = ""
    """The tenant."""

    live: int = 0
    """Live messages; counted up to 1,000,000."""

    archived: int = 0
    """Archived messages; counted up to 1,000,000."""

    pending: int = 0
    """Messages that are waiting for their embedding, live or archived; counted up to 100,000."""

    failed: int = 0
    """Messages that the model refused, live or archived; counted up to 100,000."""

    pinned: int = 0
    """Pinned messages; counted up to 100,000."""

    revisions: int = 0
    """Previous states of updated messages; counted up to 100,000."""

    users: int = 0
    """End users; counted up to 10,000."""

    conversations: int = 0
    """Conversations; counted up to 10,000."""

    duplicates: int = 0
    """How many of the newest 10,000 messages repeat an older one among them: the same text by the same role, in the
    same conversation and for the same user.
    """

    estimated_bytes: int = 0
    """An estimate of the bytes on disk, including indexes: the mean of the newest 1,000 messages times the number
    counted. Revisions are not included.
    """

    oldest_message_at: datetime | None = None
    """When the oldest message was said; not set when there is none."""

    newest_message_at: datetime | None = None
    """When the newest message was said."""

    last_sweep_at: datetime | None = None
    """When the deployment's last scheduled sweep began; not set when there was none."""

    last_sweep_status: str = ""
    """`ok`, `failed`, `running` or `never`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferEmbedding:
    """The vectors of a message."""

    model: str
    """The model that made them."""

    windows: tuple[bytes, ...] = ()
    """One vector for each window of the text, as little-endian 16-bit floats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferHeader:
    """What an export contains."""

    version: int = 0
    """The version of the format: 1."""

    tenant_id: str = ""
    """Whose messages they are."""

    filter: str | None = None
    """The filter that they passed; not set when there was none."""

    has_embeddings: bool = False
    """Whether vectors are included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferMessage:
    """A message with everything that belongs to it, except what the service computes again."""

    id: str
    """Its id."""

    conversation_id: str
    """The conversation within the tenant."""

    user_id: str | None = None
    """The end user whose memory it belongs to; not set when it belongs to nobody."""

    role: str
    """Who speaks: `user`, `assistant` or `system`."""

    name: str | None = None
    """The speaker's name."""

    content: str
    """The text."""

    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The caller's own fields."""

    importance: float = 0.0
    """Its importance, as computed when it was first stored."""

    created_at: datetime
    """When it was said."""

    archived_at: datetime | None = None
    """When retention archived it; not set while it is live."""

    pinned: bool = False
    """Whether retention never archives it."""

    expires_at: datetime | None = None
    """The moment from which nothing shows it; not set when it does not expire."""

    revision: int = 0
    """The number of its current state: 1 for a message that was never updated."""

    embedding: TransferEmbedding | None = None
    """Its vectors, if they are included and exist."""

    revisions: tuple[TransferRevision, ...] = ()
    """Its previous states, the oldest first; as many as fit."""

    more_revisions: bool = False
    """Whether more of them follow in records of their own (`TransferRevisions`)."""

    language: str | None = None
    """The language of the text, where its caller said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPolicy:
    """A tenant's own policy values; those that are not set are the deployment's."""

    retention: RetentionPolicy | None = None
    """When messages are archived and deleted."""

    importance_weights: ImportanceWeights | None = None
    """How importance is computed at ingest."""

    score_weights: ScoreWeights | None = None
    """How the score is computed in a search."""

    hybrid_weights: HybridWeights | None = None
    """How relevance is computed in a hybrid search."""

    ranking: str | None = None
    """The ranking of searches that do not name one."""

    time_zone: str | None = None
    """The time zone of dates in queries that do not name one."""

    language: str | None = None
    """The language of messages and queries that do not name one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRecord:
    """One record of an export: a header, a policy, a message or further revisions of one."""

    header: TransferHeader | None = None
    """The first record: what this export contains."""

    policy: TransferPolicy | None = None
    """The second, if it was requested: the tenant's own policy."""

    message: TransferMessage | None = None
    """A message."""

    revisions: TransferRevisions | None = None
    """More revisions of the message before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRevision:
    """A previous state of a message."""

    revision: int = 0
    """Its number: 1 is the first state."""

    valid_from: datetime
    """The moment from which this state applied."""

    valid_to: datetime
    """When it was updated, which ended this state."""

    user_id: str | None = None
    """Whose memory it belonged to."""

    name: str | None = None
    """The speaker's name."""

    content: str
    """The text."""

    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The caller's own fields."""

    importance: float = 0.0
    """Its importance."""

    pinned: bool = False
    """Whether it was pinned."""

    expires_at: datetime | None = None
    """The moment from which nothing was to show it; not set when it did not expire."""

    embedding: TransferEmbedding | None = None
    """Its vectors, if they are included and exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRevisions:
    """Previous states of a message that do not fit into its own record; they follow it."""

    message_id: str
    """The message's id."""

    message_revision: int = 0
    """The number of the message's state in this export, its `revision`."""

    revisions: tuple[TransferRevision, ...] = ()
    """The states that follow those before, the oldest first."""

    more_revisions: bool = False
    """Whether more of them follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An end user with stored messages, live or archived."""

    user_id: str = ""
    """Who."""

    first_message_at: datetime
    """When the first of these messages was said."""

    last_message_at: datetime
    """When the last one was said."""

    message_count: int = 0
    """How many messages there are, including archived ones; counted over at most the newest 10,000."""

    archived_count: int = 0
    """How many of them are archived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyErasureResponse:
    """What was found of the erased messages."""

    clean: bool = False
    """True when nothing was found and the erasure is done."""

    checks: tuple[ErasureCheck, ...] = ()
    """What was checked."""

    unreachable: tuple[ErasureLimit, ...] = ()
    """What cannot be checked from here."""

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
    "User",
    "VerifyErasureResponse",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A key as the service keeps it. The key itself is not kept: a digest is, and the prefix by which it is found."""

    id: str = ""
    """Set by the server: a UUID."""

    prefix: str = ""
    """The part of the key between `mk_` and the next `_`: names the key in logs and lists, and opens nothing."""

    label: str = ""
    """What the key is for, as its maker said."""

    role: str = ""
    """`reader` (get and search), `writer` (also ingest) or `admin` (also everything under `/v1/admin`)."""

    tenant_ids: tuple[str, ...] = ()
    """The tenants that the key reaches, compared byte for byte; empty with `all_tenants`."""

    all_tenants: bool = False
    """True when the key reaches every tenant, those to come included."""

    created_at: datetime
    """When the key was made."""

    expires_at: datetime | None = None
    """When the key ends by itself; not set when it does not."""

    revoked_at: datetime | None = None
    """When the key was revoked; not set while it is not."""

    rate_limit: int = 0
    """Calls a minute that the key may make; 0 when it has no limit of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Something that somebody did."""

    id: str = ""
    """Its id."""

    happened_at: datetime
    """When."""

    actor: str = ""
    """Who: `key:` and the prefix of a made key, `jwt:` and the subject of a token, `setting:` and the number of one of
    MEMORY_API_KEYS, or `anonymous`.
    """

    action: str = ""
    """What: service and RPC, or `key.use`."""

    outcome: str = ""
    """What came of it: OK, or the name of a gRPC code such as PERMISSION_DENIED; STARTED when an export began."""

    tenant_id: str = ""
    """The tenant that the call named, or the only one that a used key reaches; empty for the deployment as a whole. A
    call that named several is an event for each.
    """

    request_id: str = ""
    """`x-request-id` of the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchIngestMessagesResponse:
    """What was stored."""

    messages: tuple[Message, ...] = ()
    """The stored messages, in the order of the request."""

    repeated_indexes: tuple[int, ...] = ()
    """Which of them were stored before, under the same `request_id`: their places in `messages`, counted from 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildContextResponse:
    """What to put into the prompt."""

    total_tokens: int = 0
    """How many tokens `text` has: never more than `max_tokens`."""

    messages: tuple[ContextMessage, ...] = ()
    """The messages, in the order they were said."""

    text: str = ""
    """The same for a prompt: a line for each message, as `[2026-11-14 20:30] Caroline: I love Python`. Times are UTC;
    the role stands where there is no name. Further lines of a message are indented, so that none looks like another
    message.
    """

    left_out: LeftOut
    """What was considered and left out."""

    tokenizer: str = ""
    """What counted the tokens: the name of the embedding model or of the file MEMORY_CONTEXT_TOKENIZER, or `4 bytes a
    token` where there is neither.
    """

    ranking: str = ""
    """The ranking that found the memories."""

    as_of: datetime
    """The moment it was built for. With this as its `as_of` a request builds the same context of the same memory."""

    pending: int = 0
    """How many messages pass the filters but cannot be found yet, because they have no embedding; counted up to
    10,000.
    """

    reranked: bool | None = None
    """Whether the deployment's reranker read the best memories again; false where it failed or was late, not set where
    it was not asked.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextMessage:
    """A message of the context, and why it is there."""

    message: Message
    """The message."""

    reason: str = ""
    """`pinned`, `recent`, `relevant` or `neighbour`: the first of these that holds."""

    score: float | None = None
    """Its score in the search, where the search found it."""

    tokens: int = 0
    """How many tokens its line of `text` has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation of which messages are stored, live or archived."""

    conversation_id: str = ""
    """Which one."""

    first_message_at: datetime
    """When its first message was said."""

    last_message_at: datetime
    """When its last message was said."""

    message_count: int = 0
    """How many messages it has, archived ones included; this and what follows is told of its newest 10,000 at most."""

    archived_count: int = 0
    """How many of them are archived."""

    user_count: int = 0
    """How many end users they belong to."""

    user_ids: tuple[str, ...] = ()
    """These end users, the first 20 in byte order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateApiKeyResponse:
    """The new key."""

    key: str = ""
    """The key to send as `x-api-key`. Shown here and never again."""

    api_key: ApiKey
    """What the service keeps of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteMessageResponse:
    """What was erased."""

    message_id: str = ""
    """The id of the message that is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingModel:
    """What makes one model's vectors another's: two that differ in any of these are never compared."""

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
    """An erasure, from its plan to its end."""

    erasure_id: str = ""
    """Its id."""

    tenant_id: str = ""
    """The tenant."""

    scope: str = ""
    """What was asked for: `filter`, `user`, `conversation` or `whole_tenant`. Its value is not kept."""

    state: str = ""
    """`planned`; `erasing`: messages go, batch by batch; `cleaning`: all are gone, words are counted again and the
    tables are vacuumed, so that nothing of them stays in indexes and statistics; `done`.
    """

    planned: int = 0
    """Messages that were planned."""

    erased: int = 0
    """Messages erased so far. At the end less than planned where some had gone by themselves."""

    planned_rows: tuple[TableRows, ...] = ()
    """Rows of each table that the plan counted."""

    erased_rows: tuple[TableRows, ...] = ()
    """Rows of each table erased so far."""

    planned_at: datetime
    """When it was planned."""

    expires_at: datetime
    """Until when it can be applied."""

    applied_at: datetime | None = None
    """When it was applied; not set before."""

    finished_at: datetime | None = None
    """When it was done; not set before."""

    last_error: str = ""
    """The class of what holds the work up; empty while it goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureCheck:
    """A place that was looked into."""

    place: str = ""
    """A table, or what else was looked at."""

    found: int = 0
    """What of the erased messages was found there; 0 is what is wanted."""

    how: str = ""
    """What was compared, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureLimit:
    """A place that cannot be looked into."""

    place: str = ""
    """What it is."""

    advice: str = ""
    """What to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReceipt:
    """What can be kept of an erasure."""

    erasure: Erasure
    """The erasure, done."""

    ids_digest: str = ""
    """SHA-256, in hexadecimal, over the ids that were planned, as 16 bytes each, in order. Who has kept the ids can
    show that these were meant.
    """

    planned_by: str = ""
    """The id of the key that planned it; `settings` for one of MEMORY_API_KEYS, `none` where there were no keys."""

    applied_by: str = ""
    """The key that applied it, likewise."""

    erased_at: datetime | None = None
    """When the last message was erased."""

    kept: tuple[str, ...] = ()
    """What is kept on purpose, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetHealthResponse:
    """The health of the service."""

    status: str = ""
    """`ok`, or `degraded` while the database is down or takes no writes."""

    database: str = ""
    """`ok`, `read_only` while it answers and takes no writes, or `down`."""

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
    """Whose it is."""

    state: str = ""
    """`building`, `ready`, `failed` or `dropping`. One that failed is tried again."""

    messages: int = 0
    """Messages of the tenant when the build began. Those that came later are in the graph too."""

    megabytes: float = 0.0
    """Size on disk, in megabytes."""

    started_at: datetime
    """When the build began."""

    finished_at: datetime | None = None
    """When it ended, well or not; not set while it is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HitExplanation:
    """What makes the score of a hit."""

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
    """Weight of words. The deployment's default is its recipe's."""

    conversation: float | None = None
    """Weight of the best turn of the conversation. The deployment's default is its recipe's."""

    date: float | None = None
    """Weight of a date that the query names. The deployment's default is its recipe's."""

    speaker: float | None = None
    """Weight of a speaker that the query names. The deployment's default is its recipe's."""

    previous: float | None = None
    """Share of a word's count in the turn before that counts for a message too, and half of it for the turn before
    that one. The deployment's default is 0.5.
    """

    names_to_i: bool | None = None
    """Whether the query is embedded with the names of participants as "I". The deployment's default is true."""

    recipe: str | None = None
    """The weights that are not set: `surroundings` or `conversation`. The deployment's default is `surroundings`."""

    near: float | None = None
    """Weight of the best turn within three turns. The deployment's default is its recipe's."""

    after: float | None = None
    """Weight of the turn right after it, by its similarity and words. The deployment's default is its recipe's."""

    coverage: float | None = None
    """Weight of the share of the query's words that stand near. The deployment's default is its recipe's."""

    asks_when: float | None = None
    """Weight of a word of time, where the query asks when. The deployment's default is its recipe's."""

    first_person: float | None = None
    """Weight of a turn that speaks of its speaker. The deployment's default is its recipe's."""

    question: float | None = None
    """Weight of a turn that ends with a question mark. The deployment's default is its recipe's."""

    assistant: float | None = None
    """Weight of a turn of the role `assistant`. The deployment's default is its recipe's."""

    rerank: float | None = None
    """Weight of what the deployment's reranker says of one of the best 50, 0 to 1; where it has none, nothing. 0 sends
    it nothing. The deployment's default is 1.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResponse:
    """What became of the messages: those of no list were stored."""

    stored: int = 0
    """How many were stored."""

    repeated_indexes: tuple[int, ...] = ()
    """Which of them the tenant had already: their places in the request, counted from 0."""

    conflicting_indexes: tuple[int, ...] = ()
    """Under which ids the tenant has something else, which stays: their places in the request."""

    pending: int = 0
    """How many of those that were stored have yet to be embedded: search does not find them until then."""

    erased_indexes: tuple[int, ...] = ()
    """Which of them were erased, and stay so: their places in the request."""


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
    """The text. Text longer than the model's window is embedded in overlapping windows, so that all of it is found."""

    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Any fields of the caller's own; returned as they are. Numbers are doubles, as in JSON: whole numbers from 2^53
    on are refused, as doubles do not keep them apart. Send longer ids as text.
    """

    importance_override: float | None = None
    """How important the caller says the message is; counts as 0 when not set."""

    name: str | None = None
    """The speaker's name; questions that name a speaker find that speaker's messages."""

    created_at: datetime | None = None
    """When the message was said, for back-fills; the server's time when not set. At most a day in the future."""

    request_id: str | None = None
    """The caller's own id of this request: a UUID, as AIP-155 has it. The same id with the same body, sent again
    within 24 hours (MEMORY_IDEMPOTENCY_HOURS), stores nothing and returns the stored message. Unique within the
    tenant.
    """

    embed_later: bool | None = None
    """Store and answer at once, with `embedding_status` `pending`, and embed afterwards. MEMORY_ASYNC_EMBEDDINGS when
    not set.
    """

    user_id: str | None = None
    """The end user whose memory this belongs to, compared byte for byte. When not set it is taken from `metadata`,
    where that holds a text under MEMORY_USER_ID_METADATA_KEY.
    """

    keep_request_id: bool = False
    """Remember `request_id` as long as the message is kept, instead of 24 hours: for imports, which are run again
    weeks later.
    """

    pinned: bool = False
    """Never archived by retention."""

    expires_at: datetime | None = None
    """From this moment on nothing shows the message, and the next sweep erases it. It lies in the future; the message
    is kept as long as retention says when not set.
    """

    ttl_seconds: int | None = None
    """The same as a number of seconds from the moment of ingest on, whatever `created_at` says. Give this or
    `expires_at`.
    """

    on_duplicate: str | None = None
    """What becomes of a message that was said before, by the same role in the same conversation, of the same user, in
    the same words, at most `duplicate_window_seconds` earlier: `store` it, the default, or `return_existing`, which
    stores nothing and returns the one that is there, as for a repeated `request_id`.
    """

    duplicate_window_seconds: int | None = None
    """How far apart two messages may have been said to be taken for one, up to a year; an hour when not set."""

    language: str | None = None
    """The language of the text, as a tag of BCP 47: how its words are stemmed for the hybrid ranking, and which of
    them count for nothing. The tenant's own when not set. Languages without a stemmer are found word for word.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What did not go into the context."""

    too_long: int = 0
    """Messages that did not fit."""

    repeated_text: int = 0
    """Messages whose text is in the context already, or is the question itself."""

    low_score: int = 0
    """Memories below `min_score`."""

    best: tuple[LeftOutMessage, ...] = ()
    """The first of those that did not fit, best first, up to 10."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutMessage:
    """A message that did not fit."""

    message_id: str = ""
    """Its id."""

    reason: str = ""
    """Why it was considered."""

    tokens: int | None = None
    """How many tokens its line would have; not set where it was too long to be counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListApiKeysResponse:
    """A page of keys."""

    api_keys: tuple[ApiKey, ...] = ()
    """Keys in the order in which they were made, revoked and expired ones included."""

    next_page_token: str = ""
    """Asks for the next page; empty on the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConversationsResponse:
    """A page of conversations."""

    conversations: tuple[Conversation, ...] = ()
    """Conversations in the byte order of their ids."""

    next_page_token: str = ""
    """Asks for the next page; empty on the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListEventsResponse:
    """A page of events."""

    events: tuple[AuditEvent, ...] = ()
    """The newest first."""

    next_page_token: str = ""
    """Asks for the next page; empty on the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListGraphsResponse:
    """The graphs there are."""

    graphs: tuple[Graph, ...] = ()
    """By tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListMessagesResponse:
    """A page of messages."""

    messages: tuple[Message, ...] = ()
    """The messages, in the order that was asked for. Fewer than `page_size` where their texts are long: a page holds
    about 16 MiB of them.
    """

    next_page_token: str = ""
    """Asks for the next page; empty on the last."""

    total_size: int | None = None
    """How many messages pass, on all pages together; set with `include_total`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRevisionsResponse:
    """A page of revisions."""

    revisions: tuple[Revision, ...] = ()
    """What the message was before its updates, the last one first. Empty when it was never updated."""

    next_page_token: str = ""
    """Asks for the next page; empty on the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListUsersResponse:
    """A page of end users."""

    users: tuple[User, ...] = ()
    """Users in the byte order of their ids."""

    next_page_token: str = ""
    """Asks for the next page; empty on the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryHit:
    """One message that was found, and why it stands where it stands."""

    message_id: str = ""
    """The id of the message."""

    score: float = 0.0
    """0.6·similarity + 0.3·importance + 0.1·decay with the default weights."""

    similarity: float = 0.0
    """Cosine of the query and the message's best window, -1 to 1."""

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
    """Who spoke, where the caller said so."""

    explanation: HitExplanation | None = None
    """What makes the score; set with `explain`."""

    neighbours: Neighbours | None = None
    """The turns around it; set with `neighbours`."""

    archived_at: datetime | None = None
    """When retention archived it; not set while it is live."""

    user_id: str | None = None
    """The end user whose memory it belongs to; not set when it is nobody's."""

    relevance: float = 0.0
    """How likely it is to answer, which compares with other searches as `score` does not: the similarity, and with
    `hybrid` up to 0.4 for the query's words near it.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, as it is stored."""

    id: str = ""
    """Set by the server: a UUID."""

    tenant_id: str = ""
    """The product or customer the message belongs to. Compared byte for byte: `A` and `a` are two tenants."""

    conversation_id: str = ""
    """The conversation within the tenant. Compared byte for byte."""

    role: str = ""
    """`user`, `assistant` or `system`."""

    name: str | None = None
    """Who speaks, where the caller said so."""

    content: str = ""
    """The text, as it was sent."""

    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The caller's own fields, as they were sent; an empty object when there were none."""

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
    """The end user whose memory it belongs to; not set when it is nobody's."""

    pinned: bool | None = None
    """True when retention never archives it; not set otherwise."""

    expires_at: datetime | None = None
    """From when on nothing shows it, and the next sweep erases it; not set when it does not expire."""

    etag: str = ""
    """Names what the message says now, for UpdateMessage: another after each update. Opaque."""

    language: str | None = None
    """The language of the text, where the caller said so."""


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
    """How the first ten hits of one query change; never its text."""

    tenant_id: str = ""
    """The tenant."""

    message_id: str = ""
    """The stored message that was the query; empty for a query of the caller's."""

    overlap: float = 0.0
    """Share of the hits that both models find, 0 to 1."""

    first_changed: bool = False
    """Whether another message comes first."""

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
    """The tenant; not set for every tenant."""

    state: str = ""
    """`running` while vectors are made; `ready` for the cut-over; `cut_over` while the old vectors are removed;
    `done`; `cancelled`.
    """

    previous_model: EmbeddingModel
    """The model in use when it was started."""

    model: EmbeddingModel
    """The new model."""

    total: int = 0
    """Messages to embed, archived ones and those that arrived since among them."""

    embedded: int = 0
    """How many of them have the new model's vectors."""

    refused: int = 0
    """Texts that the new model refused several times; the cut-over makes them `pending`, to be tried again."""

    keep_old: bool = False
    """Whether the old vectors stay."""

    last_error: str = ""
    """The kind of the last error in the background, while it holds it up; empty when all is well."""

    started_at: datetime
    """When it was started."""

    cut_over_at: datetime | None = None
    """When searches began to read the new vectors."""

    finished_at: datetime | None = None
    """When it was over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReembeddingComparison:
    """How the first ten hits change."""

    asked: int = 0
    """Queries that there were."""

    compared: int = 0
    """Queries that there was time for."""

    overlap: float = 0.0
    """Mean share of the first ten hits that both models find, 0 to 1."""

    first_changed: float = 0.0
    """Share of the queries with another first hit, 0 to 1."""

    rank_change: float = 0.0
    """Mean number of places by which a hit that both find moved."""

    details: tuple[QueryComparison, ...] = ()
    """Each query, in order, when details are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreArchivedResponse:
    """What was restored, or would be."""

    restored: int = 0
    """Messages that are live again."""

    would_archive_again: int = 0
    """How many of these the next sweep would archive again, by the policy that holds for the tenant now. Change the
    policy, or pin the messages, to keep them.
    """

    dry_run: bool = False
    """True when nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """When messages leave."""

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
    """Whether sweeps delete from the archives of tenants whose policy does not say otherwise: the scheduler is on, and
    `delete_after_days` is below 36,500, which means never.
    """

    delete_after_days: float = 0.0
    """Days in the archive after which they do. The deployment's default; a tenant's own is in its policy."""

    failed: int = 0
    """Tenants that the last sweep could not sweep to the end, and will again; the log has the class of each error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryFailedEmbeddingsResponse:
    """What is tried again."""

    queued: int = 0
    """Messages that were queued."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What a message was until it was updated."""

    message: Message
    """The message as it was. `archived_at` is that of now: archiving is no update."""

    valid_from: datetime
    """From when on it was so."""

    valid_to: datetime
    """When it was updated."""


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
    """One term of a score: the score is the sum of weight · value over the terms, within 1e-6."""

    name: str = ""
    """What it is: `similarity`, `importance`, `decay`; with `hybrid` also `lexical`, `conversation`, `date`,
    `speaker`, those of `near`, `after`, `coverage`, `asks_when`, `first_person`, `question` and `assistant` that
    weigh something, `rerank` where the deployment's reranker was asked and, where relevance came out below zero,
    `floor`, which lifts it to zero.
    """

    weight: float = 0.0
    """Its weight in this response."""

    value: float = 0.0
    """Its value for this hit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreWeight:
    """A weight of the ranking."""

    name: str = ""
    """What it weighs, as `similarity`."""

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
    """True when every candidate was scored; false when only the pool that a graph proposed was."""

    candidates: int = 0
    """How many messages passed the filters and were ranked; of a large tenant, those of the pool."""

    weights: tuple[ScoreWeight, ...] = ()
    """The weights that the policy gives."""

    model: str = ""
    """The model whose vectors were compared."""

    as_of: datetime
    """The moment that ages were counted up to. With this as its `as_of` a request ranks the same memory the same way.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchMemoriesResponse:
    """The best hits, best first."""

    total: int = 0
    """How many hits are in `items`."""

    items: tuple[MemoryHit, ...] = ()
    """The hits."""

    explanation: SearchExplanation | None = None
    """How they were ranked; set with `explain`."""

    pending: int = 0
    """How many messages pass the filters but cannot be found yet, because they have no embedding; counted up to
    10,000.
    """

    relevance: float | None = None
    """The highest `relevance` of what was found, hits below `min_relevance` included; not set when nothing was."""

    reranked: bool | None = None
    """Whether the deployment's reranker read the best of them again. False where it failed or was late: they stand in
    the order without it. Not set where it was not asked: there is none, it weighs nothing in the policy, or the
    ranking is `semantic`.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulateRetentionResponse:
    """What a sweep would do."""

    retention: RetentionPolicy
    """The policy that was tried, all of its values."""

    as_of: datetime
    """The moment of the sweep."""

    archived: int = 0
    """Messages that would be archived."""

    deleted: int = 0
    """Messages that would be deleted: from the archive, and expired ones."""

    kept: int = 0
    """Messages that would stay live."""

    months: tuple[SimulatedMonth, ...] = ()
    """The same by the month in which messages were said, in UTC, and by role; the oldest month first. A month of which
    nothing is live and nothing would be deleted is left out.
    """

    archived_sample: tuple[Message, ...] = ()
    """Some of what would be archived, the newest first."""

    deleted_sample: tuple[Message, ...] = ()
    """Some of what would be deleted, the newest first; without what has expired, which is shown nowhere."""


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
    """How much a tenant may store, live and archived, expired until the next sweep too. What would not fit is refused
    with RESOURCE_EXHAUSTED and the reason QUOTA_EXCEEDED, and no `retry-after`: it fits once something was deleted,
    or the quota is larger. Counted now and then, and in between by each server for itself: of several servers, each
    may let in what the others stored since it counted last (docs/retention.md says when that is).
    """

    max_messages: int | None = None
    """Messages; 0 is no limit. The deployment's default is 0."""

    max_bytes: int | None = None
    """Bytes of content and metadata as UTF-8 text, revisions included; 0 is no limit. The deployment's default is 0.
    Vectors, words and indexes are not counted: on disk it is several times as much.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamIngestResponse:
    """A message of the stream is committed."""

    sequence: int = 0
    """Which one: its place in the stream, counted from 0."""

    message_id: str = ""
    """The id it is stored under."""

    embedding_status: str = ""
    """`completed`, or `pending` when it is embedded later."""

    is_repeated: bool = False
    """True when it was stored before, under the same `request_id`; false when it was stored now."""

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
    """The policy that holds for a tenant."""

    tenant_id: str = ""
    """The tenant."""

    retention: RetentionPolicy | None = None
    """When messages are archived and deleted."""

    importance_weights: ImportanceWeights | None = None
    """How importance is computed at ingest."""

    score_weights: ScoreWeights | None = None
    """How the score is computed in a search."""

    overrides: tuple[str, ...] = ()
    """The values that are the tenant's own, as `retention.max_age_days`; all others are the deployment's."""

    updated_at: datetime | None = None
    """When the tenant's own policy was last set; not set when it has none."""

    hybrid_weights: HybridWeights | None = None
    """How relevance is computed in a hybrid search."""

    ranking: str = ""
    """The ranking of searches that name none."""

    time_zone: str = ""
    """Whose days the dates of queries are that name no time zone."""

    language: str | None = None
    """The language of messages and queries that name none; not set where MEMORY_SEARCH_TEXT_CONFIG counts."""

    quota: StorageQuota | None = None
    """How much the tenant may store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantStatistics:
    """What is stored of a tenant. Expired messages count until a sweep has erased them. Counts are exact up to a
    bound, and the bound itself means as many or more.
    """

    tenant_id: str = ""
    """The tenant."""

    live: int = 0
    """Live messages; counted up to 1,000,000."""

    archived: int = 0
    """Archived messages; counted up to 1,000,000."""

    pending: int = 0
    """Messages that wait for their embedding, live or archived; counted up to 100,000."""

    failed: int = 0
    """Messages that the model refused, live or archived; counted up to 100,000."""

    pinned: int = 0
    """Pinned messages; counted up to 100,000."""

    revisions: int = 0
    """What messages were before their updates; counted up to 100,000."""

    users: int = 0
    """End users; counted up to 10,000."""

    conversations: int = 0
    """Conversations; counted up to 10,000."""

    duplicates: int = 0
    """How many of the newest 10,000 messages repeat an older one of these: the same text of the same role in the same
    conversation and of the same user.
    """

    estimated_bytes: int = 0
    """An estimate of the bytes on disk, indexes included: the mean of the newest 1,000 messages times all that were
    counted. Revisions are not in it.
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
    """One a window of the text, each as 16-bit floats, little-endian."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferHeader:
    """What an export is of."""

    version: int = 0
    """Of the format: 1."""

    tenant_id: str = ""
    """Whose messages they are."""

    filter: str | None = None
    """What they passed; not set for all."""

    has_embeddings: bool = False
    """Whether vectors travel along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferMessage:
    """A message with all that belongs to it but what the service works out anew."""

    id: str
    """Its id."""

    conversation_id: str
    """The conversation within the tenant."""

    user_id: str | None = None
    """The end user whose memory it belongs to; not set when it is nobody's."""

    role: str
    """Who speaks: `user`, `assistant` or `system`."""

    name: str | None = None
    """The speaker's name."""

    content: str
    """The text."""

    metadata: dict[str, Any] = dataclasses.field(default_factory=dict)
    """The caller's own fields."""

    importance: float = 0.0
    """Its importance, which was worked out when it was first stored."""

    created_at: datetime
    """When it was said."""

    archived_at: datetime | None = None
    """When retention took it out of search; not set while it is live."""

    pinned: bool = False
    """Whether it is kept whatever the policy says."""

    expires_at: datetime | None = None
    """From when on nothing shows it; not set when that is never."""

    revision: int = 0
    """How often it was said anew: 1 for what was never changed."""

    embedding: TransferEmbedding | None = None
    """Its vectors, where they travel along and are there."""

    revisions: tuple[TransferRevision, ...] = ()
    """What it was before it was updated, the first first."""

    language: str | None = None
    """The language of the text, where its caller said so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferPolicy:
    """The values of a policy that are a tenant's own; those that are not set are the deployment's."""

    retention: RetentionPolicy | None = None
    """When messages are archived and deleted."""

    importance_weights: ImportanceWeights | None = None
    """How importance is computed at ingest."""

    score_weights: ScoreWeights | None = None
    """How the score is computed in a search."""

    hybrid_weights: HybridWeights | None = None
    """How relevance is computed in a hybrid search."""

    ranking: str | None = None
    """The ranking of searches that name none."""

    time_zone: str | None = None
    """Whose days the dates of queries are that name no time zone."""

    language: str | None = None
    """The language of messages and queries that name none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRecord:
    """One record of an export: a header, a policy or a message."""

    header: TransferHeader | None = None
    """The first record: what this is an export of."""

    policy: TransferPolicy | None = None
    """The second, where it was asked for: the tenant's own policy."""

    message: TransferMessage | None = None
    """A message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRevision:
    """What a message was before an update."""

    revision: int = 0
    """Which: 1 is the first."""

    valid_from: datetime
    """From when on it was so."""

    valid_to: datetime
    """When it was updated."""

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
    """Whether it was kept whatever the policy says."""

    expires_at: datetime | None = None
    """From when on nothing was to show it; not set when that was never."""

    embedding: TransferEmbedding | None = None
    """Its vectors, where they travel along and are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An end user whose messages are stored, live or archived."""

    user_id: str = ""
    """Who."""

    first_message_at: datetime
    """When the first of these messages was said."""

    last_message_at: datetime
    """When the last one was said."""

    message_count: int = 0
    """How many messages there are, archived ones included; counted over the newest 10,000 at most."""

    archived_count: int = 0
    """How many of them are archived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyErasureResponse:
    """What was found of an erasure's messages."""

    clean: bool = False
    """True when nothing was found, and the erasure is done."""

    checks: tuple[ErasureCheck, ...] = ()
    """What was looked into."""

    unreachable: tuple[ErasureLimit, ...] = ()
    """What cannot be looked into from here."""

"""Protobuf to domain values and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from memory_grpc.domain.messages import Json, NewMessage, StoredMessage
from memory_grpc.domain.search import Hit, SearchFilters, SearchRequest, SearchResult
from memory_grpc.errors import InvalidInput
from memory_grpc.services import convert_filter
from memory_grpc.services.convert_language import language
from memory_grpc.services.convert_time_zone import time_zone
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import message_pb2

T = TypeVar("T")

DEFAULT_TOP_K = 5
DEFAULT_DUPLICATE_WINDOW_SECONDS = 3600
EITHER_EXPIRY = "give either expires_at or ttl_seconds"


def optional(message: ProtoMessage, field: str, default: T) -> Any | T:
    """The value of a field that has presence, or ``default`` when it is not set."""
    return getattr(message, field) if message.HasField(field) else default


def moment(message: ProtoMessage, field: str) -> datetime | None:
    """A timestamp field as an aware datetime of UTC, to the microsecond; None when it is not set."""
    return getattr(message, field).ToDatetime(tzinfo=UTC) if message.HasField(field) else None


def timestamp(value: datetime) -> Timestamp:
    """An aware datetime as a timestamp."""
    result = Timestamp()
    result.FromDatetime(value)
    return result


def struct(value: Json) -> Struct:
    """A JSON object as a Struct."""
    result = Struct()
    result.update(value)
    return result


def plain(value: Struct) -> Json:
    """A Struct as a JSON object; whole numbers become integers, as they were before protobuf made them doubles."""
    result = _whole(MessageToDict(value))
    assert isinstance(result, dict), "a Struct is an object"
    return result


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def new_message(request: pb.IngestMessageRequest) -> NewMessage:
    """A valid request as the message to ingest. Raises InvalidInput where its fields contradict each other,
    and for a language that is no tag."""
    if request.HasField("expires_at") and request.HasField("ttl_seconds"):
        raise InvalidInput.of("ttl_seconds", EITHER_EXPIRY)
    return NewMessage(
        tenant_id=request.tenant_id,
        conversation_id=request.conversation_id,
        role=request.role,
        content=request.content,
        metadata=plain(request.metadata) if request.HasField("metadata") else {},
        importance_override=optional(request, "importance_override", None),
        name=optional(request, "name", None),
        created_at=moment(request, "created_at"),
        request_id=UUID(request.request_id) if request.HasField("request_id") else None,
        embed_later=optional(request, "embed_later", None),
        user_id=optional(request, "user_id", None),
        keep_request_id=request.keep_request_id,
        pinned=request.pinned,
        expires_at=moment(request, "expires_at"),
        ttl_seconds=optional(request, "ttl_seconds", None),
        duplicate_window_seconds=(
            optional(request, "duplicate_window_seconds", DEFAULT_DUPLICATE_WINDOW_SECONDS)
            if request.on_duplicate == "return_existing"
            else None
        ),
        language=language(request),
        size=request.ByteSize(),
    )


def stored_message(message: StoredMessage) -> message_pb2.Message:
    """A stored message as the contract shows it; metadata is always set, so that REST prints it."""
    result = message_pb2.Message(
        id=str(message.id),
        tenant_id=message.tenant_id,
        conversation_id=message.conversation_id,
        role=message.role,
        name=message.name,
        content=message.content,
        metadata=struct(message.metadata),
        importance_score=message.importance,
        embedding_status=message.embedding_status,
        created_at=timestamp(message.created_at),
        updated_at=timestamp(message.updated_at),
        user_id=message.user_id,
        pinned=message.pinned or None,
        etag=message.etag,
        language=message.language,
    )
    for field in ("archived_at", "expires_at"):
        value: datetime | None = getattr(message, field)
        if value is not None:
            getattr(result, field).CopyFrom(timestamp(value))
    return result


def search_request(request: pb.SearchMemoriesRequest) -> SearchRequest:
    """A valid request as what to look for. Raises InvalidInput for a filter that cannot be read, for an
    unknown time zone and for a language that is no tag."""
    return SearchRequest(
        tenant_id=request.tenant_id,
        query=request.query,
        filters=SearchFilters(
            where=convert_filter.where(request),
            include_archived=request.include_archived,
            candidate_limit=optional(request, "candidate_limit", None),
            as_of=moment(request, "as_of"),
        ),
        top_k=optional(request, "top_k", DEFAULT_TOP_K),
        ranking=optional(request, "ranking", None),
        neighbours=optional(request, "neighbours", 0),
        explain=request.explain,
        min_score=optional(request, "min_score", None),
        min_relevance=optional(request, "min_relevance", None),
        distinct=request.distinct,
        exclude_message_ids=frozenset(map(UUID, request.exclude_message_ids)),
        exclude_query_text=request.exclude_query_text,
        zone=time_zone(request),
        language=language(request),
    )


def search_response(result: SearchResult, *, explain: bool) -> pb.SearchMemoriesResponse:
    """What was found as the contract shows it."""
    response = pb.SearchMemoriesResponse(
        total=len(result.hits),
        items=[_memory_hit(hit, explain=explain) for hit in result.hits],
        pending=result.pending,
        relevance=result.relevance,
        reranked=result.reranked,
    )
    if explain:
        response.explanation.CopyFrom(
            pb.SearchExplanation(
                ranking=result.ranking,
                exact=result.exact,
                candidates=result.candidates,
                weights=[pb.ScoreWeight(name=name, weight=weight) for name, weight in result.weights.items()],
                model=result.model,
                as_of=timestamp(result.as_of),
            )
        )
    return response


def _memory_hit(hit: Hit, *, explain: bool) -> pb.MemoryHit:
    message, ranked = hit.message, hit.ranked
    result = pb.MemoryHit(
        message_id=str(message.id),
        score=ranked.score,
        similarity=ranked.similarity,
        decay=ranked.decay,
        content=message.content,
        role=message.role,
        metadata=struct(message.metadata),
        created_at=timestamp(message.created_at),
        importance=ranked.importance,
        conversation_id=message.conversation_id,
        name=message.name,
        user_id=message.user_id,
        archived_at=timestamp(message.archived_at) if message.archived_at else None,
        relevance=ranked.answer,
    )
    if explain:
        result.explanation.terms.extend(
            pb.ScoreTerm(name=term.name, weight=term.weight, value=term.value) for term in ranked.terms
        )
    if hit.neighbours is not None:
        result.neighbours.before.extend(stored_message(turn) for turn in hit.neighbours[0])
        result.neighbours.after.extend(stored_message(turn) for turn in hit.neighbours[1])
    return result

"""Protobuf to domain values and back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from memory_grpc.domain import Hit, Json, NewMessage, StoredMessage
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import message_pb2

T = TypeVar("T")


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


def new_message(request: pb.IngestMessageRequest) -> NewMessage:
    """A valid request as the message to ingest."""
    return NewMessage(
        tenant_id=request.tenant_id,
        conversation_id=request.conversation_id,
        role=request.role,
        content=request.content,
        metadata=MessageToDict(request.metadata) if request.HasField("metadata") else {},
        importance_override=optional(request, "importance_override", None),
        name=optional(request, "name", None),
        created_at=moment(request, "created_at"),
        request_id=UUID(request.request_id) if request.HasField("request_id") else None,
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
    )
    if message.archived_at is not None:
        result.archived_at.CopyFrom(timestamp(message.archived_at))
    return result


def memory_hit(hit: Hit) -> pb.MemoryHit:
    """A hit as the contract shows it."""
    return pb.MemoryHit(
        message_id=str(hit.message_id),
        score=hit.score,
        similarity=hit.similarity,
        decay=hit.decay,
        content=hit.content,
        role=hit.role,
        metadata=struct(hit.metadata),
        created_at=timestamp(hit.created_at),
        importance=hit.importance,
        conversation_id=hit.conversation_id,
        name=hit.name,
    )

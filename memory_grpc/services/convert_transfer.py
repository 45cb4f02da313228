"""Records of an export, to domain values and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.revisions import Revision
from memory_grpc.domain.transfer import (
    FurtherRevisions,
    Imported,
    MessageVectors,
    OwnPolicy,
    Transferred,
    TransferredRevision,
)
from memory_grpc.errors import InvalidInput
from memory_grpc.services import convert
from memory_grpc.services.convert_language import language
from memory_layer.v1 import transfer_service_pb2 as pb

VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def header(request: pb.ExportRequest) -> pb.TransferRecord:
    """What an export is of."""
    filter_ = convert.optional(request, "filter", "").strip()
    return pb.TransferRecord(
        header=pb.TransferHeader(
            version=VERSION,
            tenant_id=request.tenant_id,
            filter=filter_ or None,
            has_embeddings=request.include_embeddings,
        )
    )


def policy(own: OwnPolicy) -> pb.TransferRecord:
    """A tenant's own policy."""
    record = pb.TransferRecord(policy=pb.TransferPolicy())
    for path, value in own.values.items():
        section, _, name = path.rpartition(".")
        holder: Any = getattr(record.policy, section) if section else record.policy
        setattr(holder, name, value)
    return record


def message(one: Transferred) -> pb.TransferRecord:
    """A message as it leaves, without what it was."""
    m = one.message
    result = pb.TransferMessage(
        id=str(m.id),
        conversation_id=m.conversation_id,
        user_id=m.user_id,
        role=m.role,
        name=m.name,
        content=m.content,
        metadata=convert.struct(m.metadata),
        importance=m.importance,
        created_at=convert.timestamp(m.created_at),
        archived_at=convert.timestamp(m.archived_at) if m.archived_at else None,
        pinned=m.pinned,
        expires_at=convert.timestamp(m.expires_at) if m.expires_at else None,
        revision=m.revision,
        language=m.language,
    )
    if one.vectors is not None:
        result.embedding.CopyFrom(_embedding(one.vectors))
    return pb.TransferRecord(message=result)


def revision(was: TransferredRevision) -> pb.TransferRevision:
    """What a message was, as it leaves."""
    m = was.revision.message
    return pb.TransferRevision(
        revision=m.revision,
        valid_from=convert.timestamp(was.revision.valid_from),
        valid_to=convert.timestamp(was.revision.valid_to),
        user_id=m.user_id,
        name=m.name,
        content=m.content,
        metadata=convert.struct(m.metadata),
        importance=m.importance,
        pinned=m.pinned,
        expires_at=convert.timestamp(m.expires_at) if m.expires_at else None,
        embedding=None if was.vectors is None else _embedding(was.vectors),
    )


def _embedding(vectors: MessageVectors) -> pb.TransferEmbedding:
    return pb.TransferEmbedding(model=vectors.model, windows=vectors.windows)


def transferred(request: pb.ImportRequest) -> tuple[list[Transferred], list[FurtherRevisions]]:
    """The messages of an import, which are valid, and further revisions. Raises InvalidInput for a language that is no
    tag, and where there is neither."""
    if not (request.messages or request.revisions):
        raise InvalidInput.of("messages", "must have at least 1 item, unless there are revisions")
    sent = [_transferred(request.tenant_id, one, f"messages[{place}].") for place, one in enumerate(request.messages)]
    return sent, [_further(request.tenant_id, one) for one in request.revisions]


def _transferred(tenant_id: str, one: pb.TransferMessage, place: str) -> Transferred:
    created_at = convert.moment(one, "created_at")
    assert created_at is not None, "the contract requires it"
    stored = StoredMessage(
        id=UUID(one.id),
        tenant_id=tenant_id,
        conversation_id=one.conversation_id,
        role=one.role,
        name=convert.optional(one, "name", None),
        content=one.content,
        metadata=convert.plain(one.metadata) if one.HasField("metadata") else {},
        importance=one.importance,
        embedding_status="pending",
        created_at=created_at,
        updated_at=_EPOCH,
        user_id=convert.optional(one, "user_id", None),
        archived_at=convert.moment(one, "archived_at"),
        pinned=one.pinned,
        expires_at=convert.moment(one, "expires_at"),
        revision=max(one.revision, 1),
        language=language(one, place),
    )
    return Transferred(stored, _vectors(one), tuple(_transferred_revision(stored, was) for was in one.revisions))


def _further(tenant_id: str, one: pb.TransferRevisions) -> FurtherRevisions:
    unknown = StoredMessage(
        id=UUID(one.message_id),
        tenant_id=tenant_id,
        conversation_id="",
        role="",
        name=None,
        content="",
        metadata={},
        importance=0.0,
        embedding_status="pending",
        created_at=_EPOCH,
        updated_at=_EPOCH,
    )
    revisions = tuple(_transferred_revision(unknown, was) for was in one.revisions)
    return FurtherRevisions(unknown.id, one.message_revision, revisions)


def _transferred_revision(message: StoredMessage, one: pb.TransferRevision) -> TransferredRevision:
    valid_from, valid_to = convert.moment(one, "valid_from"), convert.moment(one, "valid_to")
    assert valid_from is not None and valid_to is not None, "the contract requires them"
    was = replace(
        message,
        user_id=convert.optional(one, "user_id", None),
        name=convert.optional(one, "name", None),
        content=one.content,
        metadata=convert.plain(one.metadata) if one.HasField("metadata") else {},
        importance=one.importance,
        pinned=one.pinned,
        expires_at=convert.moment(one, "expires_at"),
        revision=one.revision,
    )
    return TransferredRevision(Revision(was, valid_from, valid_to), _vectors(one))


def _vectors(one: pb.TransferMessage | pb.TransferRevision) -> MessageVectors | None:
    if not one.HasField("embedding"):
        return None
    return MessageVectors(one.embedding.model, tuple(one.embedding.windows))


def imported(result: Imported) -> pb.ImportResponse:
    """What became of them."""
    return pb.ImportResponse(
        stored=result.stored,
        repeated_indexes=result.repeated,
        conflicting_indexes=result.conflicting,
        pending=result.pending,
        erased_indexes=result.erased,
        ignored_revisions_indexes=result.ignored,
    )

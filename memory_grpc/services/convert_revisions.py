"""Updates and revisions of messages: protobuf to domain values and back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from memory_grpc.domain.revisions import MessageUpdate, Revision
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_grpc.paging import Page
from memory_grpc.services import convert
from memory_layer.v1 import revision_pb2 as pb

# What can be changed, in the order of the contract.
FIELDS = ("content", "metadata", "name", "user_id", "importance_override", "pinned", "expires_at")
# What a field is when it is cleared, where that is not nothing.
_CLEARED = {"metadata": {}, "pinned": False}


def message_update(request: pb.UpdateMessageRequest) -> MessageUpdate:
    """A valid request as what to change. Raises InvalidInput where mask and fields contradict each other."""
    mask = list(request.update_mask) or [name for name in FIELDS if _is_set(request, name)]
    violations = []
    if len(set(mask)) != len(mask):
        violations.append(FieldViolation("update_mask", "must not repeat a field"))
    if "content" in mask and not _is_set(request, "content"):
        violations.append(FieldViolation("content", "cannot be cleared"))
    # What is set and not to be changed was meant to be.
    violations += [
        FieldViolation(name, "is not in update_mask") for name in FIELDS if _is_set(request, name) and name not in mask
    ]
    if violations:
        raise InvalidInput(violations)
    return MessageUpdate(
        message_id=UUID(request.message_id),
        tenant_id=request.tenant_id,
        changes={name: _value(request, name) for name in mask},
        etag=convert.optional(request, "etag", None),
        request_id=UUID(request.request_id) if request.HasField("request_id") else None,
        embed_later=convert.optional(request, "embed_later", None),
    )


def revisions(page: Page[Revision]) -> pb.ListRevisionsResponse:
    """A page of revisions as the contract shows it."""
    return pb.ListRevisionsResponse(revisions=map(_revision, page.rows), next_page_token=page.next_token)


def _revision(revision: Revision) -> pb.Revision:
    return pb.Revision(
        message=convert.stored_message(revision.message),
        valid_from=convert.timestamp(revision.valid_from),
        valid_to=convert.timestamp(revision.valid_to),
    )


def _is_set(request: pb.UpdateMessageRequest, name: str) -> bool:
    return request.HasField(name)  # type: ignore[arg-type]  # the stubs know literals only


def _value(request: pb.UpdateMessageRequest, name: str) -> Any:
    if not _is_set(request, name):
        return _CLEARED.get(name)
    match name:
        case "metadata":
            return convert.plain(request.metadata)
        case "expires_at":
            return convert.moment(request, name)
    return getattr(request, name)

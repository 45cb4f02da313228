"""Retention tried and undone: requests to filters and limits, and the operations' values to protobuf."""

from __future__ import annotations

from dataclasses import asdict
from typing import Literal

from memory_grpc import filtering
from memory_grpc.domain.retention import Simulation
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_grpc.filtering import Node
from memory_grpc.services import convert
from memory_layer.v1 import policy_pb2
from memory_layer.v1 import retention_pb2 as pb

_EQUALS: tuple[Literal["user_id", "conversation_id"], ...] = ("user_id", "conversation_id")


def limits(request: pb.SimulateRetentionRequest) -> dict[str, float]:
    """The limits to try that are set, by name."""
    return {field.name: value for field, value in request.retention.ListFields()}


def where(request: pb.RestoreArchivedRequest) -> Node:
    """What a message must pass to be restored, but for when it was archived.

    Raises InvalidInput where nothing is given, and for a filter that cannot be read.
    """
    terms: list[Node] = [
        filtering.compare(field, "=", getattr(request, field)) for field in _EQUALS if request.HasField(field)
    ]
    if request.HasField("filter"):
        terms.append(filtering.parse(request.filter))
    if not terms and not request.HasField("archived_since"):
        wanted = "give at least one of filter, user_id, conversation_id and archived_since"
        raise InvalidInput([FieldViolation("filter", wanted)])
    return filtering.all_of(terms) if terms else filtering.EVERYTHING


def simulated(found: Simulation) -> pb.SimulateRetentionResponse:
    """What a sweep would do."""
    return pb.SimulateRetentionResponse(
        retention=policy_pb2.RetentionPolicy(**asdict(found.limits)),
        as_of=convert.timestamp(found.as_of),
        archived=sum(month.archived for month in found.months),
        deleted=sum(month.deleted for month in found.months),
        kept=sum(month.kept for month in found.months),
        months=[pb.SimulatedMonth(**asdict(month)) for month in found.months],
        archived_sample=map(convert.stored_message, found.archived_sample),
        deleted_sample=map(convert.stored_message, found.deleted_sample),
    )

"""The flat filter parameters of a request and its ``filter`` as one tree."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from google.protobuf.json_format import MessageToDict

from memory_grpc import filtering
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_grpc.filtering import Node
from memory_layer.v1 import listing_pb2
from memory_layer.v1 import memory_service_pb2 as pb

Filtered = pb.SearchMemoriesRequest | listing_pb2.ListMessagesRequest

# Parameters that stand for one comparison: the field of the filter, and how it is compared.
_COMPARISONS: dict[str, tuple[str, filtering.Operator]] = {
    "conversation_id": ("conversation_id", "="),
    "user_id": ("user_id", "="),
    "role": ("role", "="),
    "importance_min": ("importance", ">="),
    "created_after": ("created_at", ">="),
    "created_before": ("created_at", "<"),
}


def where(request: Filtered) -> Node | None:
    """What messages must pass; None where everything does. All parameters must hold, of one key of ``metadata_equals``
    any value.

    Raises InvalidInput for a filter that cannot be read, and for a metadata_equals without ``=``.
    """
    terms: list[Node] = [
        filtering.compare(field, operator, _value(getattr(request, name)))
        for name, (field, operator) in _COMPARISONS.items()
        if request.HasField(name)  # type: ignore[arg-type]  # the stubs know literals only
    ]
    if request.HasField("metadata") and request.metadata.fields:
        terms.append(filtering.metadata_holds(MessageToDict(request.metadata)))
    terms += _metadata_equals(request)
    if request.HasField("filter") and request.filter.strip():
        terms.append(filtering.parse(request.filter))
    return filtering.all_of(terms) if terms else None


def _metadata_equals(request: Filtered) -> list[Node]:
    values: dict[str, list[str]] = {}
    faults = []
    for index, entry in enumerate(request.metadata_equals):
        key, equals, value = entry.partition("=")
        if not equals:
            faults.append(FieldViolation(f"metadata_equals[{index}]", "must be key=value"))
        values.setdefault(key, []).append(value)
    if faults:
        raise InvalidInput(faults)
    return [filtering.any_of([filtering.metadata_reads(key, v) for v in found]) for key, found in values.items()]


def _value(value: Any) -> Any:
    return value.ToDatetime(tzinfo=UTC) if hasattr(value, "ToDatetime") else value

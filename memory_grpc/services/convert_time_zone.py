"""The time zone of a request."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from memory_grpc.domain.time_zone import WANTED, is_known
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_layer.v1 import context_pb2, memory_service_pb2, policy_service_pb2


def time_zone(
    request: memory_service_pb2.SearchMemoriesRequest
    | context_pb2.BuildContextRequest
    | policy_service_pb2.SetTenantPolicyRequest,
) -> ZoneInfo | None:
    """Whose days the dates of a query are; None where the request does not say. Raises InvalidInput for a zone that is
    not in the IANA database."""
    if not request.HasField("time_zone"):
        return None
    if not is_known(request.time_zone):
        raise InvalidInput([FieldViolation("time_zone", WANTED)])
    return ZoneInfo(request.time_zone)

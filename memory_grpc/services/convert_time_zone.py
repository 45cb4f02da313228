"""The time zone of a request."""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from memory_grpc.errors import FieldViolation, InvalidInput
from memory_layer.v1 import context_pb2, memory_service_pb2

# What the machine's own zone is called, and what stands for none.
_NO_PLACES: Final = {"localtime", "Factory"}


def time_zone(request: memory_service_pb2.SearchMemoriesRequest | context_pb2.BuildContextRequest) -> tzinfo:
    """Whose days the dates of a query are; UTC where the request does not say. Raises InvalidInput for a zone that is
    not in the IANA database."""
    if not request.HasField("time_zone"):
        return UTC
    if request.time_zone not in _names():
        fault = "must be a time zone of the IANA database, such as Europe/Berlin"
        raise InvalidInput([FieldViolation("time_zone", fault)])
    return ZoneInfo(request.time_zone)


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_PLACES)

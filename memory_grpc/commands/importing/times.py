"""Times as files write them, as RFC 3339 in UTC. Raises ``Wrong`` for what is none."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from memory_grpc.commands.importing.turns import Wrong

# Offsets that exist: protobuf's own reader takes +99:99 too.
RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def of_datetime(value: datetime, name: str) -> str:
    """A time with an offset."""
    try:
        moment = value.astimezone(UTC)
    except (OverflowError, ValueError):
        moment = None
    if moment is None or not _EPOCH <= moment <= _LAST:
        raise Wrong(name, "must be between the years 1970 and 9999")
    return moment.isoformat().replace("+00:00", "Z")


def of_text(value: Any, name: str) -> str:
    """RFC 3339, as ``2024-05-01T10:00:00.123+02:00``; a time without an offset is none."""
    if not isinstance(value, str) or not RFC_3339.fullmatch(value):
        raise Wrong(name, "must be an RFC 3339 time with an offset, like 2026-11-14T20:30:00Z")
    whole, fraction, offset = re.fullmatch(r"(.{19})(\.\d+)?(.+)", value).groups()  # type: ignore[union-attr]
    try:  # Python reads six digits
        return of_datetime(datetime.fromisoformat(f"{whole}{(fraction or '')[:7]}{offset.upper()}"), name)
    except ValueError:
        raise Wrong(name, "is no time that exists") from None


def of_seconds(value: Any, name: str) -> str:
    """Seconds since 1970, as a number or as text (``1714557600.123456``), to the microsecond."""
    try:
        microseconds = int((Decimal(_number(value)) * 1_000_000).to_integral_value())
        return of_datetime(_EPOCH + timedelta(microseconds=microseconds), name)
    except (ValueError, OverflowError, InvalidOperation):
        raise Wrong(name, "must be seconds since 1970") from None


def _number(value: Any) -> str:
    """A number as text, unless it is neither."""
    return str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""

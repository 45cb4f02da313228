"""What stands in a filter, read: text with its escapes, numbers, moments. Each error names the character."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

from memory_grpc.errors import InvalidFilter

# JSON numbers are doubles: beyond this, whole numbers are no longer told apart.
LARGEST = 2**53

_ESCAPE = re.compile(
    r"\\u(?P<high>[dD][89abAB][\da-fA-F]{2})\\u(?P<low>[dD][c-fC-F][\da-fA-F]{2})"
    r"|\\u(?P<unit>[\da-fA-F]{4})|\\(?P<plain>.)",
    re.ASCII | re.DOTALL,
)
_PLAIN = {'"': '"', "'": "'", "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_LIKE_A_NUMBER = re.compile(r"[+-]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_RFC_3339 = re.compile(r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Written:
    """A part of a filter: its text, without quotes and escapes, and the character where it begins, counted from 1."""

    text: str
    position: int
    quoted: bool = False


def written(token: str, position: int) -> Written:
    """A token as it was written, in quotes or not."""
    if token[0] not in "\"'":
        return Written(token, position)
    return Written(_ESCAPE.sub(lambda escape: _unescaped(escape, position), token)[1:-1], position, quoted=True)


def _unescaped(escape: re.Match[str], position: int) -> str:
    high, low, unit, plain = escape.group("high", "low", "unit", "plain")
    if high:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10 | int(low, 16) & 0x3FF))
    if unit and (code := int(unit, 16)) and not 0xD800 <= code <= 0xDFFF:
        return chr(code)
    if plain in _PLAIN:
        return _PLAIN[plain]
    where = position + escape.start()
    if unit:
        raise InvalidFilter.at(where, "text cannot contain NUL or half a surrogate pair")
    raise InvalidFilter.at(where, r"an escape is one of \" \' \\ \/ \b \f \n \r \t or \u and four hexadecimal digits")


def is_number(value: Written) -> bool:
    """Whether a value is a number; InvalidFilter for a bare word that looks like one and is none in JSON."""
    if value.quoted or _JSON_NUMBER.fullmatch(value.text):
        return not value.quoted
    if _LIKE_A_NUMBER.fullmatch(value.text):
        raise InvalidFilter.at(
            value.position, "write a number as in JSON: 0.5, -3, 1e6; put text that looks like one in quotes"
        )
    return False


def number(value: Written) -> float:
    """A number as a double."""
    if not is_number(value):
        raise InvalidFilter.at(value.position, "expected a number, without quotes")
    read = float(value.text)
    if abs(read) > LARGEST or (abs(read) == LARGEST and abs(Decimal(value.text)) > LARGEST):
        raise InvalidFilter.at(value.position, "beyond 2^53, JSON numbers are no longer exact: compare with text")
    return read + 0.0  # -0.0 is 0.0


def flag(value: Written) -> bool:
    """True or false."""
    if value.quoted or value.text not in {"true", "false"}:
        raise InvalidFilter.at(value.position, "expected true or false, without quotes")
    return value.text == "true"


def moment(value: Written) -> datetime:
    """An RFC 3339 timestamp, in UTC."""
    match = _RFC_3339.fullmatch(value.text)
    if match is None:
        raise InvalidFilter.at(
            value.position, 'expected a timestamp with its zone, such as "2026-11-01T00:00:00Z" or with +01:00'
        )
    fraction, zone = (match[7] or "").rstrip("0"), match[8].upper()
    if len(fraction) > 6:
        raise InvalidFilter.at(value.position, "a timestamp has at most six digits after the decimal point")
    try:
        year, month, day, hour, minute, second = map(int, match.groups()[:6])
        microsecond, offset = int(fraction.ljust(6, "0")), UTC if zone == "Z" else _offset(zone)
        read = datetime(year, month, day, hour, minute, second, microsecond, offset).astimezone(UTC)
    except (ValueError, OverflowError):
        read = None
    if read is None or read < _EARLIEST:
        raise InvalidFilter.at(value.position, "not a time between the years 1970 and 9999")
    return read


def _offset(zone: str) -> timezone:
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if minutes > 59:
        raise ValueError("no such offset")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if zone[0] == "-" else offset)

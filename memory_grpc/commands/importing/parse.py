"""An object of JSON as an IngestMessageRequest, with faults that name the field and never show its content.

Every request asks to have its ``request_id`` kept as long as its message is: a file may be imported again long after
the service forgets other ids.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from memory_grpc.commands.importing.records import Fault
from memory_grpc.commands.importing.times import RFC_3339
from memory_grpc.errors import InvalidInput
from memory_grpc.validation import validate
from memory_layer.v1.memory_service_pb2 import IngestMessageRequest

_KINDS = {
    "metadata": "must be an object",
    "importance_override": "must be a number",
    "created_at": "must be an RFC 3339 time with an offset, like 2026-11-14T20:30:00Z",
    "embed_later": "must be true or false",
    "keep_request_id": "must be true or false",
    "pinned": "must be true or false",
    "expires_at": "must be an RFC 3339 time with an offset, like 2036-11-14T20:30:00Z",
    "ttl_seconds": "must be a whole number of seconds",
    "duplicate_window_seconds": "must be a whole number of seconds",
}
# Former names, which files may still hold.
_RENAMED = {"async": "embed_later"}
_FIELDS = frozenset(field.name for field in IngestMessageRequest.DESCRIPTOR.fields)


def parse(line: bytes) -> tuple[IngestMessageRequest | None, tuple[Fault, ...]]:
    """One line of JSON as a valid request, or what is wrong with it."""
    try:
        value = json.loads(line, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return None, (Fault("", f"is not JSON (column {error.colno})"),)
    except UnicodeDecodeError:
        return None, (Fault("", "is not UTF-8"),)
    except (ValueError, RecursionError):
        return None, (Fault("", "is not JSON that can be read (NaN, infinity, or nested too deep)"),)
    if not isinstance(value, dict):
        return None, (Fault("", "is not a JSON object"),)
    return request_of(value)


def request_of(value: dict[str, Any]) -> tuple[IngestMessageRequest | None, tuple[Fault, ...]]:
    """An object as a valid request, or what is wrong with it."""
    faults = [_no_field(name) for name in value if name not in _FIELDS]
    if faults:
        return None, tuple(faults)
    request = IngestMessageRequest()
    moment = value.get("created_at")
    if isinstance(moment, str) and not RFC_3339.fullmatch(moment):  # protobuf takes offsets that do not exist
        return None, (Fault("created_at", _KINDS["created_at"]),)
    try:
        ParseDict(value, request)
    except (ParseError, ValueError, TypeError, RecursionError):
        return None, tuple(_faults_of_fields(value))
    try:
        validate(request)
    except InvalidInput as error:
        return None, tuple(Fault(v.field, v.description) for v in error.violations)
    request.keep_request_id = True
    return request, ()


def _no_field(name: str) -> Fault:
    now = _RENAMED.get(name)
    return Fault(name[:64], f"is called {now} now" if now else "is not a field of the ingest request")


def _faults_of_fields(value: dict[str, Any]) -> list[Fault]:
    """The fields that protobuf refuses, found one by one: its own words would show their content."""
    faults = []
    for name, field in value.items():
        try:
            ParseDict({name: field}, IngestMessageRequest())
        except (ParseError, ValueError, TypeError, RecursionError):
            faults.append(Fault(name, _KINDS.get(name, "must be text")))
    return faults or [Fault("", "is not an ingest request")]


def _refuse(constant: str) -> None:
    raise ValueError(constant)

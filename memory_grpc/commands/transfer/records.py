"""Records of an export as lines of JSON, and back. Equal records are equal lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing import utf8
from memory_grpc.commands.importing.jsonl import lines
from memory_grpc.errors import InvalidInput
from memory_grpc.validation import validate
from memory_layer.v1.transfer_service_pb2 import (
    TransferHeader,
    TransferMessage,
    TransferRecord,
    TransferRevisions,
)

VERSION = 1
# A record has 2 MiB, and what JSON escapes becomes six times as long.
_MAX_LINE_BYTES = 16 * 2**20


def written(record: TransferRecord) -> str:
    """A record as a line, without its end."""
    value = MessageToDict(record, preserving_proto_field_name=True)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Line:
    """A record with its place in the file, and the header that holds for it."""

    number: int
    position: int
    record: TransferRecord
    header: TransferHeader

    @property
    def message(self) -> TransferMessage | None:
        """The message that it is, if it is one."""
        return self.record.message if self.record.HasField("message") else None

    @property
    def revisions(self) -> TransferRevisions | None:
        """The further revisions of a message that it is, if it is some."""
        return self.record.revisions if self.record.HasField("revisions") else None


def read(path: Path) -> Iterator[Line]:
    """The records of a file; several exports may stand one after another. Raises CommandError, with the line and the
    field, for what is none."""
    header: TransferHeader | None = None
    with utf8.opened(path) as file:
        for number, position, text, too_long in lines(file, _MAX_LINE_BYTES):
            if not text:
                continue
            place = f"{path.name}: line {number}"
            if too_long:
                raise CommandError(f"{place}: is longer than {_MAX_LINE_BYTES:,} bytes.")
            record = _record(text, place)
            if record.HasField("header"):
                header = record.header
                if header.version != VERSION:
                    raise CommandError(f"{place}: is an export of version {header.version}; this reads {VERSION}.")
            if header is None:
                raise CommandError(f"{place}: a header must come first, as `memory-grpc export` writes it.")
            yield Line(number, position, record, header)


def _record(text: bytes, place: str) -> TransferRecord:
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise CommandError(f"{place}: is no JSON.") from None
    try:
        record = ParseDict(value, TransferRecord())
    except (ParseError, ValueError, TypeError, AttributeError, RecursionError):
        raise CommandError(f"{place}: is no record of an export{_field(value)}.") from None
    try:
        validate(record)
    except InvalidInput as error:
        raise CommandError(f"{place}: {error.violations[0].field}: {error.violations[0].description}.") from None
    if record.WhichOneof("record") is None:
        raise CommandError(f"{place}: is no record of an export.")
    return record


def _field(value: Any) -> str:
    """The field of a message that protobuf refuses: its own words would show the content."""
    fields = value.get("message") if isinstance(value, dict) else None
    if isinstance(fields, dict):
        for name, field in fields.items():
            try:
                ParseDict({name: field}, TransferMessage())
            except (ParseError, ValueError, TypeError, AttributeError, RecursionError):
                return f" ({name})" if name in TransferMessage.DESCRIPTOR.fields_by_name else ""
    return ""


def _refuse(constant: str) -> None:
    raise ValueError(constant)

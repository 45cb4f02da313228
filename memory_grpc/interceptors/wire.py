"""Large requests, looked through before they are parsed.

To parse is one call that nothing interrupts. Of four megabytes of empty messages, or of the keys of one object, it
takes up to a second, and all that is found out afterwards is that they are too many. So the fields are counted first,
as far as the contract allows them; what passes is then parsed in pieces, which together are the message, with room for
others in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

from google.protobuf.descriptor import Descriptor

from memory_grpc.errors import FieldViolation, InvalidInput, MalformedRequest
from memory_grpc.limit_rules import OBJECT
from memory_layer.v1.limits_pb2 import limits

MOST_FIELDS = 100_000
"""Fields of a request, those inside objects aside. The largest batch has 12,000."""
# What parsing takes at a time: some milliseconds.
_PIECE_BYTES = 128 * 1024
# A value of an object takes at most so many times the bytes that it has as JSON: a number in a list, "0," and 11 bytes.
_BYTES_PER_JSON_BYTE = 6
_FRAME_BYTES = 64

_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True, slots=True)
class _Field:
    """What is looked at of a field of messages: how many there may be, how large they may be, and what is inside."""

    name: str
    most: int
    most_bytes: int
    max_json_bytes: int
    inside: Shape | None


Shape: TypeAlias = "dict[int, _Field]"


def pieces(raw: bytes, descriptor: Descriptor) -> Iterator[bytes]:
    """A request in pieces, each of whole fields; one after the other merged into a message they are the request.

    Raises MalformedRequest for what is no message or has more than MOST_FIELDS fields, InvalidInput for lists and
    objects that are larger than the contract allows. To be used up: what comes last may be at fault.
    """
    fields = _Fields(raw)
    start = 0
    for end in fields.of_message(0, len(raw), _shape(descriptor), ""):
        if end - start >= _PIECE_BYTES:
            yield raw[start:end]
            start = end
    yield raw[start:]


class _Fields:
    """One walk over the fields of a request."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._left = MOST_FIELDS

    def of_message(self, position: int, end: int, shape: Shape, path: str) -> Iterator[int]:
        """Where each field of the message between two places ends, once it has been looked at."""
        seen: dict[int, tuple[int, int]] = {}
        while position < end:
            self._left -= 1
            if self._left < 0:
                raise MalformedRequest(f"The request has more than {MOST_FIELDS} fields.")
            tag, position = self._varint(position, end)
            start, position = self._value(tag & 7, position, end)
            known = shape.get(tag >> 3) if tag & 7 == _DELIMITED else None
            if known is not None:
                # What is no list may come in parts too, which are merged.
                count, size = seen.get(tag, (0, 0))
                seen[tag] = count + 1, size + position - start
                self._check(known, *seen[tag], path)
                if known.inside:
                    inner = f"{path}{known.name}[{count}]." if known.most else f"{path}{known.name}."
                    for _ in self.of_message(start, position, known.inside, inner):
                        pass
            yield position
        if position > end:
            raise _malformed()

    def _check(self, field: _Field, count: int, size: int, path: str) -> None:
        """Of a field that has come so often, with so many bytes in all."""
        if field.most and count > field.most:
            raise InvalidInput([FieldViolation(path + field.name, f"must have at most {field.most} items")])
        if field.most_bytes and size > field.most_bytes:
            fault = f"must have at most {field.max_json_bytes} bytes as JSON"
            raise InvalidInput([FieldViolation(path + field.name, fault)])

    def _value(self, kind: int, position: int, end: int) -> tuple[int, int]:
        """Where the value of a field begins, its length aside, and where it ends."""
        if kind == _VARINT:
            return position, self._varint(position, end)[1]
        if kind == _DELIMITED:
            length, position = self._varint(position, end)
            return position, position + length
        if kind == _FIXED64:
            return position, position + 8
        if kind == _FIXED32:
            return position, position + 4
        raise _malformed()  # a group, which no client of this contract sends

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while position < end and shift < 64:
            byte = self._raw[position]
            position += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value, position
            shift += 7
        raise _malformed()


@cache
def _shape(descriptor: Descriptor, around: tuple[Descriptor, ...] = ()) -> Shape:
    """What is looked at in messages of a kind, within others: lists that are limited, objects, and what holds such."""
    found: Shape = {}
    for field in descriptor.fields:
        rules = field.GetOptions().Extensions[limits]
        of, inside, most_bytes = field.message_type, None, 0
        if of is not None and of.full_name == OBJECT:
            most_bytes = _BYTES_PER_JSON_BYTE * rules.max_json_bytes + _FRAME_BYTES
        elif of is not None and of not in (descriptor, *around):
            inside = _shape(of, (descriptor, *around))
        most = rules.max_items if field.is_repeated else 0
        if most or most_bytes or inside:
            found[field.number] = _Field(field.name, most, most_bytes, rules.max_json_bytes, inside)
    return found


def _malformed() -> MalformedRequest:
    return MalformedRequest("The request cannot be decoded.")

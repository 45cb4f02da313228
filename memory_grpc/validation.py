"""Checks requests against the limits that the contract writes beside its fields (``limits.proto``).

The checks of a message type are worked out from its descriptor once. Every broken field is reported, with its path as
``messages[3].role``. What holds for every field, whatever its limits: no NUL character in text (Postgres stores none),
finite numbers, timestamps of the years 1970 to 9999.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from memory_grpc.errors import FieldViolation, InvalidInput
from memory_layer.v1.limits_pb2 import Limits, limits

_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z
_NUMBERS = {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_INT32}

# Says what is wrong with a value, once for each fault.
Check = Callable[[Any], Iterator[str]]


def validate(message: Message) -> None:
    """Raises InvalidInput with every violation of a request; returns when there is none."""
    found = list(_violations(message, ""))
    if found:
        raise InvalidInput(found)


def _violations(message: Message, prefix: str) -> Iterator[FieldViolation]:
    for field, rules, check in _fields(message.DESCRIPTOR):
        path = prefix + field.name
        value = getattr(message, field.name)
        if field.is_repeated:
            yield from (FieldViolation(path, fault) for fault in _count_faults(len(value), rules))
            for index, item in enumerate(value):
                yield from _item_violations(item, f"{path}[{index}]", check)
        elif field.has_presence and not message.HasField(field.name):
            if rules.required:
                yield FieldViolation(path, "is required")
        else:
            yield from _item_violations(value, path, check)


def _item_violations(value: Any, path: str, check: Check | None) -> Iterator[FieldViolation]:
    if check is None:
        yield from _violations(value, f"{path}.")
    else:
        yield from (FieldViolation(path, fault) for fault in check(value))


@cache
def _fields(descriptor: Descriptor) -> list[tuple[FieldDescriptor, Limits, Check | None]]:
    """Each field with its limits and its check; messages of our own have none and are walked into."""
    return [(f, f.GetOptions().Extensions[limits], _check(f)) for f in descriptor.fields]


def _check(field: FieldDescriptor) -> Check | None:
    rules = field.GetOptions().Extensions[limits]
    if field.message_type is not None:
        if field.message_type.full_name == Timestamp.DESCRIPTOR.full_name:
            return _timestamp_faults
        if field.message_type.full_name == Struct.DESCRIPTOR.full_name:
            return lambda value: _object_faults(value, rules)
        return None
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return lambda value: _text_faults(value, rules)
    if field.cpp_type in _NUMBERS:
        return lambda value: _number_faults(value, rules)
    return lambda value: iter(())


def _count_faults(count: int, rules: Limits) -> Iterator[str]:
    if count < rules.min_items:
        yield f"must have at least {rules.min_items} item{'s' * (rules.min_items > 1)}"
    if rules.max_items and count > rules.max_items:
        yield f"must have at most {rules.max_items} items"


def _text_faults(value: str, rules: Limits) -> Iterator[str]:
    if (rules.required or rules.min_length) and not value.strip():
        yield "must not be empty" if not value else "must not be blank"
    elif rules.one_of and value not in rules.one_of:
        yield f"must be one of {', '.join(rules.one_of)}"
    elif rules.uuid and not _is_uuid(value):
        yield "must be a UUID"
    elif len(value) < rules.min_length:
        yield f"must have at least {rules.min_length} characters"
    elif rules.max_length and len(value) > rules.max_length:
        yield f"must have at most {rules.max_length} characters"
    elif "\x00" in value:
        yield "must not hold NUL characters"


def _number_faults(value: float, rules: Limits) -> Iterator[str]:
    if not math.isfinite(value):
        yield "must be a finite number"
    elif rules.HasField("min") and value < rules.min:
        yield f"must be at least {rules.min:.15g}"
    elif rules.HasField("max") and value > rules.max:
        yield f"must be at most {rules.max:.15g}"


def _timestamp_faults(value: Timestamp) -> Iterator[str]:
    if not 0 <= value.seconds <= _LAST_SECOND or not 0 <= value.nanos < 1_000_000_000:
        yield "must lie between the years 1970 and 9999"


def _object_faults(value: Struct, rules: Limits) -> Iterator[str]:
    depth = _depth(value)
    if rules.max_depth and depth > rules.max_depth:
        yield f"must be nested at most {rules.max_depth} deep"
        return
    faults = set(_value_faults(value))
    yield from sorted(faults)
    if not faults and rules.max_json_bytes:
        text = json.dumps(MessageToDict(value), ensure_ascii=False, separators=(",", ":"))
        if len(text.encode()) > rules.max_json_bytes:
            yield f"must have at most {rules.max_json_bytes} bytes as JSON"


def _depth(value: Struct) -> int:
    """How deep an object is nested, level by level: recursion would end at the stack's limit."""
    depth, level = 0, [Value(struct_value=value)]
    while level:
        level = [inner for outer in level for inner in _inner(outer)]
        depth += 1
    return depth - 1


def _inner(value: Value) -> list[Value]:
    if value.HasField("struct_value"):
        return list(value.struct_value.fields.values()) or [Value(null_value=0)]  # type: ignore[arg-type]
    if value.HasField("list_value"):
        return list(value.list_value.values)
    return []


def _value_faults(value: Struct) -> Iterator[str]:
    """Faults of the leaves of an object that is known not to be too deep."""
    level = [Value(struct_value=value)]
    while level:
        for leaf in level:
            if leaf.HasField("number_value") and not math.isfinite(leaf.number_value):
                yield "must hold finite numbers only"
            if "\x00" in leaf.string_value or any("\x00" in key for key in leaf.struct_value.fields):
                yield "must not hold NUL characters"
        level = [inner for outer in level for inner in _inner(outer)]


def _is_uuid(value: str) -> bool:
    try:
        return str(UUID(value)) == value.lower()
    except ValueError:
        return False

"""Checks requests against the limits that the contract writes beside its fields (``limits.proto``).

The checks of a message type are worked out from its descriptor once, for all requests of the contract when this module
is imported: a limit that nothing would enforce stops the start. Broken fields are reported with their paths, as
``messages[3].role``. What holds for every field, whatever its limits: no NUL character in text (Postgres stores none),
finite numbers, timestamps of the years 1970 to 9999.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any
from uuid import UUID

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FieldDescriptorProto
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from memory_grpc import limit_rules
from memory_grpc.errors import FieldViolation, InvalidInput, StartupError
from memory_grpc.limit_rules import NUMBERS, OBJECT, TIMESTAMP, FieldKind
from memory_grpc.object_faults import Room, object_faults
from memory_grpc.rpcs import METHODS
from memory_layer.v1.limits_pb2 import Limits, limits

# Looking for more would be work for the one who sends garbage.
MOST_VIOLATIONS = 20
# Values of all objects of a request together, as limits.proto says.
MOST_VALUES = 100_000
_DOTS = (".", "..")
_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z

# The path within a value (empty for all of it) and what is wrong there, once for each fault.
Faults = Iterator[tuple[str, str]]
Check = Callable[[Any, Room], Faults]


def validate(message: Message) -> None:
    """Raises InvalidInput with the first 20 violations of a request; returns when there is none."""
    found = list(islice(_violations(message, "", Room(MOST_VALUES)), MOST_VIOLATIONS))
    if found:
        raise InvalidInput(found)


def _violations(message: Message, prefix: str, room: Room) -> Iterator[FieldViolation]:
    for field, rules, check in _fields(message.DESCRIPTOR):
        path = prefix + field.name
        value = getattr(message, field.name)
        if field.is_repeated:
            yield from (FieldViolation(path, fault) for fault in _count_faults(len(value), rules))
            for index, item in enumerate(value):
                yield from _item_violations(item, f"{path}[{index}]", check, room)
        elif field.has_presence and not message.HasField(field.name):
            if rules.required:
                yield FieldViolation(path, "is required")
        else:
            yield from _item_violations(value, path, check, room)


def _item_violations(value: Any, path: str, check: Check | None, room: Room) -> Iterator[FieldViolation]:
    if check is None:
        yield from _violations(value, f"{path}.", room)
    else:
        yield from (FieldViolation(path + within, fault) for within, fault in check(value, room))


@cache
def _fields(descriptor: Descriptor) -> list[tuple[FieldDescriptor, Limits, Check | None]]:
    """Each field with its limits and its check; messages but objects and timestamps have none and are walked into.

    Raises StartupError for a limit that nothing enforces.
    """
    for field in descriptor.fields:
        for fault in _limit_faults(field):
            raise StartupError(f"The contract cannot be enforced: {field.full_name} {fault}.")
    return [(f, f.GetOptions().Extensions[limits], _check(f)) for f in descriptor.fields]


def prepare(descriptor: Descriptor) -> None:
    """Works out the checks of a request and of every message within it. Raises StartupError as ``_fields``."""
    known: set[str] = set()
    waiting = [descriptor]
    while waiting:
        one = waiting.pop()
        if one.full_name not in known:
            known.add(one.full_name)
            waiting += [field.message_type for field, _, check in _fields(one) if check is None and field.message_type]


def _kind(field: FieldDescriptor) -> FieldKind:
    return FieldKind(
        type=FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower(),  # type: ignore[arg-type]
        type_name=field.message_type.full_name if field.message_type is not None else "",
        is_repeated=field.is_repeated,
        is_map=field.message_type is not None and field.message_type.GetOptions().map_entry,
        has_presence=field.has_presence,
    )


def _limit_faults(field: FieldDescriptor) -> Iterator[str]:
    rules = field.GetOptions().Extensions[limits]
    kind = _kind(field)
    yield from limit_rules.faults(kind, rules, frozenset(option.name for option, _ in rules.ListFields()))
    if kind.type_name == OBJECT and not (rules.max_depth and rules.max_json_bytes):
        yield "needs max_depth and max_json_bytes, which bound the check of an object"


def _check(field: FieldDescriptor) -> Check | None:
    rules = field.GetOptions().Extensions[limits]
    kind = _kind(field)
    if kind.type_name == TIMESTAMP:
        return lambda value, _: _of_all(_timestamp_faults(value))
    if kind.type_name == OBJECT:
        depth, size = rules.max_depth, rules.max_json_bytes
        return lambda value, room: object_faults(value, max_depth=depth, max_json_bytes=size, room=room)
    if field.message_type is not None:
        return None
    if kind.type == "string":
        return lambda value, _: _of_all(_text_faults(value, rules))
    if kind.type in NUMBERS:
        return lambda value, _: _of_all(_number_faults(value, rules))
    return lambda value, _: iter(())


def _of_all(faults: Iterator[str]) -> Faults:
    """Faults of a value as a whole."""
    return (("", fault) for fault in faults)


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
    elif rules.path_segment and value in _DOTS:
        yield "must not be . or .., which clients and proxies remove from paths"
    elif len(value) < rules.min_length:
        yield f"must have at least {rules.min_length} characters"
    elif rules.max_length and len(value) > rules.max_length:
        yield f"must have at most {rules.max_length} characters"
    elif "\x00" in value:
        yield "must not contain NUL characters"


def _number_faults(value: float, rules: Limits) -> Iterator[str]:
    if not math.isfinite(value):
        yield "must be a finite number"
    elif rules.HasField("min") and value < rules.min:
        yield f"must be at least {rules.min:.15g}"
    elif rules.HasField("max") and value > rules.max:
        yield f"must be at most {rules.max:.15g}"


def _timestamp_faults(value: Timestamp) -> Iterator[str]:
    if not 0 <= value.seconds <= _LAST_SECOND or not 0 <= value.nanos < 1_000_000_000:
        yield "must be between the years 1970 and 9999"


def _is_uuid(value: str) -> bool:
    try:
        return str(UUID(value)) == value.lower()
    except ValueError:
        return False


for _method in METHODS.values():
    prepare(_method.input_type)

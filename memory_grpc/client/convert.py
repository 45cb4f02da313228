"""Keyword arguments and dataclasses into protobuf messages, and protobuf messages into dataclasses: all of it is here.

Times are datetimes with a time zone, objects are dicts, lists are tuples; what is not set is None.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from memory_layer.client import types

_TIMESTAMP, _OBJECT = "google.protobuf.Timestamp", "google.protobuf.Struct"


def filled(message: Any, values: Mapping[str, Any], at: str = "") -> Any:
    """``message`` with the fields set that are not None; ``at`` is where it stands in the request.

    Raises:
        TypeError: a value is of another type than the field. The message names the field and not the value.
        ValueError: a number is out of the range of its type, or a time has no time zone.
    """
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in values.items():
        if value is None:
            continue
        field, path = fields[name], f"{at}{name}"
        if not field.is_repeated:
            _set(message, field, value, path)
            continue
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            raise TypeError(f"{path}: give a list")
        for index, item in enumerate(value):
            _add(getattr(message, name), field, item, f"{path}[{index}]")
    return message


def _add(target: Any, field: FieldDescriptor, value: Any, path: str) -> None:
    if field.message_type is not None:
        filled(target.add(), _values(value, path), f"{path}.")
        return
    with _named(path):
        target.append(value)


def _set(message: Any, field: FieldDescriptor, value: Any, path: str) -> None:
    kind = field.message_type
    if kind is not None and kind.full_name not in (_TIMESTAMP, _OBJECT):
        target = getattr(message, field.name)
        target.SetInParent()
        filled(target, _values(value, path), f"{path}.")
        return
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"{path}: give a time with a time zone")
    with _named(path):
        if kind is None:
            setattr(message, field.name, value)
        elif kind.full_name == _TIMESTAMP:
            getattr(message, field.name).FromDatetime(value)
        else:
            target = getattr(message, field.name)
            target.SetInParent()  # an empty object is not the same as none
            target.update(value)


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Errors name the field; the library's own words hold the value."""
    try:
        yield
    except (TypeError, AttributeError):
        raise TypeError(f"{path}: the value has the wrong type for this field") from None
    except (ValueError, OverflowError):
        raise ValueError(f"{path}: this field does not accept the value") from None


def _values(value: Any, path: str) -> dict[str, Any]:
    """The fields of a dataclass, as they are."""
    if not dataclasses.is_dataclass(value):
        raise TypeError(f"{path}: give a dataclass of memory_grpc.client.types")
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def complete(message: Any, tenant_id: str | None, new_id: Callable[[], str]) -> Any:
    """Sets the tenant and the request ids that a request and its messages lack."""
    for name in _own(message.DESCRIPTOR):
        if name == "tenant_id" and tenant_id is not None and not message.tenant_id:
            message.tenant_id = tenant_id
        elif name == "request_id" and not message.request_id:
            message.request_id = new_id()
    for field in _below(message.DESCRIPTOR):
        if field.is_repeated:
            for item in getattr(message, field.name):
                complete(item, tenant_id, new_id)
        elif message.HasField(field.name):
            complete(getattr(message, field.name), tenant_id, new_id)
    return message


@cache
def _own(kind: Descriptor) -> tuple[str, ...]:
    return tuple(name for name in ("tenant_id", "request_id") if name in kind.fields_by_name)


@cache
def _below(kind: Descriptor) -> tuple[FieldDescriptor, ...]:
    """The fields of a request whose messages have a tenant or a request id."""
    return tuple(
        field
        for field in kind.fields
        if field.message_type is not None
        and field.message_type.file.package == kind.file.package
        and (_own(field.message_type) or _below(field.message_type))
    )


def result(message: Message) -> Any:
    """The dataclass that is named as the message."""
    kind, readers = _readers(message.DESCRIPTOR)
    return kind(**{name: read(message) for name, read in readers})


@cache
def _readers(kind: Descriptor) -> tuple[Any, tuple[tuple[str, Callable[[Any], Any]], ...]]:
    return getattr(types, kind.name), tuple((field.name, _reader(field)) for field in kind.fields)


def _reader(field: FieldDescriptor) -> Callable[[Any], Any]:
    name, single = field.name, _single(field)
    if field.is_repeated:
        return lambda message: tuple(map(single, getattr(message, name)))
    if field.message_type is not None and field.message_type.full_name == _OBJECT:
        return lambda message: single(getattr(message, name))
    if field.has_presence:
        return lambda message: single(getattr(message, name)) if message.HasField(name) else None
    return lambda message: getattr(message, name)


def _single(field: FieldDescriptor) -> Callable[[Any], Any]:
    known: dict[str, Callable[[Any], Any]] = {_TIMESTAMP: _moment, _OBJECT: MessageToDict}
    return _same if field.message_type is None else known.get(field.message_type.full_name, result)


def _same(value: Any) -> Any:
    return value


def _moment(value: Any) -> datetime:
    moment: datetime = value.ToDatetime(tzinfo=UTC)
    return moment

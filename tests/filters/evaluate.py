"""What a filter means, in plain Python over messages as dicts: the reference for the translation to SQL."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from memory_grpc.filtering import And, Comparison, Node

Message = Mapping[str, Any]
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ABSENT = object()


def passes(node: Node, message: Message) -> bool:
    """Whether a message passes a filter."""
    if isinstance(node, Comparison):
        return holds(node, message) is not node.negated
    return (all if isinstance(node, And) else any)(passes(term, message) for term in node.terms)


def holds(comparison: Comparison, message: Message) -> bool:
    """Whether a comparison holds, before it is negated."""
    name, wanted = comparison.operator, comparison.value
    if name == "holds":
        assert isinstance(wanted, str)
        return contains(message["metadata"], json.loads(wanted))
    found = value_of(comparison, message)
    if name == "present":
        return found is not ABSENT
    if name == "reads":
        return written(found) == wanted
    if name == "has" and isinstance(found, list):
        return any(same(item, wanted) for item in found)
    if name in {"=", "has"}:
        return same(found, wanted)
    return sort_of(found) == sort_of(wanted) and ORDERS[name](found, wanted)


def value_of(comparison: Comparison, message: Message) -> Any:
    """What a message has in a field, or under keys of its metadata."""
    if comparison.field == "archived":
        return message["archived_at"] is not None
    found = message[comparison.field]
    for key in comparison.keys:
        found = found.get(key, ABSENT) if isinstance(found, dict) else ABSENT
    return ABSENT if found is None and comparison.field != "metadata" else found


def sort_of(value: Any) -> object:
    """The JSON type of a value; integers and doubles are both numbers, and true is none."""
    return float if type(value) is int else type(value)


def same(found: Any, wanted: Any) -> bool:
    """Whether two scalars are of one type and equal."""
    return sort_of(found) == sort_of(wanted) and not isinstance(found, list | dict) and bool(found == wanted)


def contains(outer: Any, inner: Any) -> bool:
    """jsonb's ``@>``, below the top."""
    if isinstance(inner, dict):
        return isinstance(outer, dict) and all(key in outer and contains(outer[key], inner[key]) for key in inner)
    if isinstance(inner, list):
        return isinstance(outer, list) and all(any(contains(item, wanted) for item in outer) for wanted in inner)
    return same(outer, inner)


def written(value: Any) -> str | None:
    """A scalar as jsonb's ``->>`` writes it; nothing of objects and arrays, which no test asks for."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        text = format(Decimal(repr(value)), "f")
        return text.removeprefix("-") if value == 0 else text
    return value if isinstance(value, str) else None

"""The filters of a LangGraph search: what its language can say is for the service, the rest is checked here."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

from memory_grpc.integrations.langgraph_items import FIELD, quoted

_ORDER: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "$gt": (">", operator.gt),
    "$gte": (">=", operator.ge),
    "$lt": ("<", operator.lt),
    "$lte": ("<=", operator.le),
}


def translated(wanted: Mapping[str, Any]) -> tuple[list[str], bool]:
    """Comparisons for the service, and whether they say all of it: what they leave must pass ``matches`` otherwise.

    Raises ValueError for an operator that does not exist.
    """
    return _object(f"metadata.{FIELD}.value", wanted)


def _object(path: str, wanted: Mapping[str, Any]) -> tuple[list[str], bool]:
    parts = [_value(f"{path}.{quoted(key)}", value) for key, value in wanted.items()]
    return [one for terms, _ in parts for one in terms], all(is_whole for _, is_whole in parts)


def _value(path: str, wanted: Any) -> tuple[list[str], bool]:
    if isinstance(wanted, Mapping):
        if not any(key.startswith("$") for key in wanted):
            # That it is an object is not said by an empty one.
            return _object(path, wanted) if wanted else ([], False)
        parts = [_compared(path, name, value) for name, value in wanted.items()]
        return [one for terms, _ in parts for one in terms], all(is_whole for _, is_whole in parts)
    return _compared(path, "$eq", wanted)


def _compared(path: str, name: str, wanted: Any) -> tuple[list[str], bool]:
    if name not in ("$eq", "$ne", *_ORDER):
        raise ValueError(f"Unsupported operator: {name}")
    literal = _literal(wanted)
    if literal is None or (name in _ORDER and (isinstance(wanted, (bool, str)))):
        return [], False
    if name in _ORDER:
        return [f"{path} {_ORDER[name][0]} {literal}"], True
    return [f"{path} = {literal}" if name == "$eq" else f"NOT {path} = {literal}"], True


def _literal(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, (int, float)) and abs(value) < 2**53:
        return repr(value)
    return None


def matches(value: Any, wanted: Any) -> bool:
    """Whether a value passes a filter, by the rules of LangGraph's own stores."""
    if isinstance(wanted, Mapping):
        if any(key.startswith("$") for key in wanted):
            return all(_holds(value, name, other) for name, other in wanted.items())
        return isinstance(value, Mapping) and all(matches(value.get(key), other) for key, other in wanted.items())
    if isinstance(wanted, (list, tuple)):
        if not isinstance(value, (list, tuple)) or len(value) != len(wanted):
            return False
        return all(map(matches, value, wanted))
    return bool(value == wanted)


def _holds(value: Any, name: str, wanted: Any) -> bool:
    if name in ("$eq", "$ne"):
        return bool(value == wanted) is (name == "$eq")
    try:
        return _ORDER[name][1](float(value), float(wanted))
    except (TypeError, ValueError):  # no number, or nothing at all: not more and not less
        return False

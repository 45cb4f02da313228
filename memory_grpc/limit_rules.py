"""Which limits (``limits.proto``) are enforced on which kind of field. Any other would be a limit in name only.

Knows no generated code: the server holds its own contract to these rules when it starts, codegen a contract that may be
newer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TIMESTAMP = "google.protobuf.Timestamp"
OBJECT = "google.protobuf.Struct"
INTEGERS = frozenset(
    {"int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64"}
)
NUMBERS = INTEGERS | {"double", "float"}

_OF_TEXT = frozenset({"min_length", "max_length", "one_of", "uuid", "path_segment"})
_OF_NUMBERS = frozenset({"min", "max"})
_OF_OBJECTS = frozenset({"max_json_bytes", "max_depth"})
_OF_LISTS = frozenset({"min_items", "max_items"})
# Each of these says all that there is to say of a text.
_WHOLE = frozenset({"one_of", "uuid"})
_PAIRS = (("min_length", "max_length"), ("min", "max"), ("min_items", "max_items"))


@dataclass(frozen=True, slots=True)
class FieldKind:
    """What a field is: ``type`` a scalar's proto name, ``enum`` or ``message``; ``type_name`` a message's full name."""

    type: str
    type_name: str = ""
    is_repeated: bool = False
    is_map: bool = False
    has_presence: bool = False

    @property
    def enforced(self) -> frozenset[str]:
        """The limits that are checked on such a field; ``required`` where it can be seen to be missing."""
        own: frozenset[str] = frozenset()
        if self.type == "string":
            own = _OF_TEXT
        elif self.type in NUMBERS:
            own = _OF_NUMBERS
        elif self.type_name == OBJECT:
            own = _OF_OBJECTS
        if self.is_repeated:
            return own | _OF_LISTS
        return own | {"required"} if self.has_presence or self.type == "string" else own


def faults(kind: FieldKind, limits: Any, declared: frozenset[str]) -> Iterator[str]:
    """What is wrong with the limits of a field; ``declared`` are the names of those that it has."""
    declared -= {"example"}
    if kind.is_map:
        yield "is a map, which nothing checks: use a list or a google.protobuf.Struct"
        return
    if kind.type_name.startswith("google.protobuf.") and kind.type_name not in (TIMESTAMP, OBJECT):
        yield f"is a {kind.type_name}, which nothing checks"
        return
    for name in sorted(declared - kind.enforced):
        yield f"has the limit {name}, which is not enforced on this kind of field"
    for name in sorted(declared & _WHOLE):
        if others := declared & (_OF_TEXT - {name}):
            yield f"has {name}, which leaves {', '.join(sorted(others))} without a meaning"
            break
    for low, high in _PAIRS:
        bounds = [getattr(limits, name) for name in (low, high) if name in declared]
        if not all(map(math.isfinite, bounds)):
            yield f"has a bound of {low} and {high} that is no number"
        elif len(bounds) == 2 and bounds[0] > bounds[1]:
            yield f"has a {low} above its {high}"

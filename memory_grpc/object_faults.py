"""What is wrong with a JSON object (``google.protobuf.Struct``): one pass, which ends where a limit is passed."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from google.protobuf.struct_pb2 import Struct

# JSON numbers are doubles. From here on a double is the nearest of several whole numbers: 2^53 may have been 2^53 + 1.
FIRST_INEXACT = 2.0**53
INEXACT = "is beyond 2^53, where JSON numbers are no longer exact: send it as text"
NOT_FINITE = "must contain only finite numbers"
NUL = "must not contain NUL characters"

# Where a value is: the steps to it, the last one first. Kept as links, as hardly any is ever shown.
Place: TypeAlias = "tuple[Place, str | int] | None"


@dataclass(slots=True)
class Room:
    """How many more values the objects of a request may have together: each is work, however few bytes it takes."""

    values: int

    def take(self, count: int) -> str | None:
        """What is wrong when there is no room for so many."""
        self.values -= count
        return None if self.values >= 0 else "has too many values together with the objects before it"


@dataclass(slots=True)
class _Pass:
    """One walk over an object. Values wait on a stack: recursion would end at the interpreter's limit."""

    max_depth: int
    max_json_bytes: int
    room: Room
    size: int = 0
    whole: set[str] = field(default_factory=set)
    """Faults of the object as a whole."""
    inexact: list[Place] = field(default_factory=list)
    waiting: list[tuple[Any, int, Place]] = field(default_factory=list)

    def over(self, value: Struct) -> Iterator[tuple[str, str]]:
        """The path within the object and what is wrong there."""
        fault = self._enter_object(value, 1, None)
        while self.waiting and fault is None:
            fault = self._visit(*self.waiting.pop())
        if fault is not None:
            yield "", fault
            return
        yield from (("", found) for found in sorted(self.whole))
        # The stack gave them from the last to the first.
        yield from ((_path(place), INEXACT) for place in reversed(self.inexact))

    def _visit(self, value: Any, depth: int, place: Place) -> str | None:
        kind = value.WhichOneof("kind")
        if kind == "struct_value":
            return self._enter_object(value.struct_value, depth + 1, place)
        if kind == "list_value":
            items = value.list_value.values
            if fault := self._enter(len(items), depth + 1):
                return fault
            self.waiting += [(item, depth + 1, (place, index)) for index, item in enumerate(items)]
            return None
        if kind == "string_value":
            return self._text(value.string_value)
        if kind == "number_value":
            return self._number(value.number_value, place)
        return self._grow(5 if kind == "bool_value" and not value.bool_value else 4)

    def _enter_object(self, value: Any, depth: int, place: Place) -> str | None:
        if fault := self._enter(len(value.fields), depth):
            return fault
        for key, inner in value.fields.items():
            if fault := self._text(key) or self._grow(1):
                return fault
            self.waiting.append((inner, depth, (place, key)))
        return None

    def _enter(self, count: int, depth: int) -> str | None:
        """Brackets and commas, before anything inside is looked at."""
        if depth > self.max_depth:
            return f"must be nested at most {self.max_depth} deep"
        return self._grow(2 + max(0, count - 1)) or self.room.take(count)

    def _text(self, value: str) -> str | None:
        if "\x00" in value:
            self.whole.add(NUL)
        if len(value) > self.max_json_bytes:  # too long, however it is written
            return self._grow(len(value))
        return self._grow(len(json.dumps(value, ensure_ascii=False).encode()))

    def _number(self, value: float, place: Place) -> str | None:
        if not math.isfinite(value):
            self.whole.add(NOT_FINITE)
            return None
        if abs(value) >= FIRST_INEXACT:
            self.inexact.append(place)
        return self._grow(len(repr(int(value) if value.is_integer() else value)))

    def _grow(self, size: int) -> str | None:
        self.size += size
        return f"must have at most {self.max_json_bytes} bytes as JSON" if self.size > self.max_json_bytes else None


def object_faults(
    value: Struct, *, max_depth: int, max_json_bytes: int, room: Room | None = None
) -> Iterator[tuple[str, str]]:
    """The path within the object, as ``.*[3]`` (empty for all of it), and what is wrong there.

    ``max_depth`` counts the object itself as one; ``max_json_bytes`` are those of its compact JSON; ``room`` is what
    other objects have left. Past any of them nothing more is looked at, and nothing else is told.
    """
    return _Pass(max_depth, max_json_bytes, room or Room(max_json_bytes)).over(value)


def _path(place: Place) -> str:
    """``.*``, ``.*[3]``: a key may be what somebody said, and errors do not repeat what was sent."""
    steps: list[str] = []
    while place is not None:
        place, step = place
        steps.append(f"[{step}]" if isinstance(step, int) else ".*")
    return "".join(reversed(steps))

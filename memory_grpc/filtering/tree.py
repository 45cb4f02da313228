"""A checked filter as a tree, and how code builds one.

A comparison with something absent is false, and its negation true: there is no third value. Only comparisons are
negated; a NOT before parentheses has been carried to what is in them. ``a != b`` is the negation of ``a = b``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

# `has`: an array that contains the value, or a scalar that is equal to it. `present`: there is a value; in metadata the
# JSON null is one. Two are for code alone, no filter can say them. `holds`: metadata that contains an object, given as
# JSON. `reads`: JSON that reads so when it is written as text.
Operator = Literal["=", "<", "<=", ">", ">=", "has", "present", "holds", "reads"]
Value = str | float | bool | datetime | None

# The fields of a comparison; all but the last are columns.
FIELDS: Final = (
    "user_id",
    "conversation_id",
    "role",
    "name",
    "created_at",
    "importance",
    "pinned",
    "archived",
    "embedding_status",
    "metadata",
)
# What every message has: there the opposite of a comparison is one that an index answers too.
_NEVER_ABSENT: Final = {"conversation_id", "created_at", "importance", "pinned", "archived"}
_OPPOSITE: Final[Mapping[Operator, Operator]] = {"<": ">=", ">=": "<", "<=": ">", ">": "<="}


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field against a value; ``keys`` lead to a value of ``metadata`` through objects."""

    field: str
    operator: Operator
    value: Value = None
    keys: tuple[str, ...] = ()
    negated: bool = False
    # In Python True and 1.0 are the same, in JSON they are not: comparisons with them must differ.
    kind: str = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", type(self.value).__name__)


@dataclass(frozen=True, slots=True)
class And:
    """All of the terms, none of which is an And; of none, everything passes."""

    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of the terms, none of which is an Or."""

    terms: tuple[Node, ...]


Node: TypeAlias = Comparison | And | Or

EVERYTHING: Final = And(())


def compare(field: str, operator: Operator, value: Value, *keys: str) -> Comparison:
    """A comparison; numbers are doubles."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return Comparison(field, operator, float(value) if is_whole else value, keys)  # type: ignore[arg-type]


def equals(field: str, value: Value, *keys: str) -> Comparison:
    """``field = value``, or ``metadata.key = value``."""
    return compare(field, "=", value, *keys)


def present(field: str, *keys: str) -> Comparison:
    """``field:*``."""
    return Comparison(field, "present", None, keys)


def metadata_holds(wanted: Mapping[str, Any]) -> Comparison:
    """Metadata with the same keys and values, objects within objects likewise, as jsonb's ``@>`` has it."""
    return Comparison("metadata", "holds", json.dumps(wanted, ensure_ascii=False, sort_keys=True))


def metadata_reads(key: str, text: str) -> Comparison:
    """Metadata whose value under a key reads so when it is written as text, as jsonb's ``->>`` has it."""
    return Comparison("metadata", "reads", text, (key,))


def all_of(nodes: Iterable[Node]) -> Node:
    """What passes all of the nodes; everything does of none."""
    terms = tuple(term for node in nodes for term in conjuncts(node))
    return terms[0] if len(terms) == 1 else And(terms)


def any_of(nodes: Iterable[Node]) -> Node:
    """What passes one of the nodes, of which there must be one (ValueError)."""
    terms = tuple(term for node in nodes for term in (node.terms if isinstance(node, Or) else (node,)))
    if not terms:
        raise ValueError("nothing passes one of no filters")
    return terms[0] if len(terms) == 1 else Or(terms)


def negated(node: Node) -> Node:
    """What does not pass a node, which must not be EVERYTHING (ValueError)."""
    if isinstance(node, Comparison):
        if node.field in _NEVER_ABSENT and isinstance(node.value, bool):
            return dataclasses.replace(node, value=not node.value)
        if node.field in _NEVER_ABSENT and node.operator in _OPPOSITE:
            return dataclasses.replace(node, operator=_OPPOSITE[node.operator])
        return dataclasses.replace(node, negated=not node.negated)
    terms = [negated(term) for term in node.terms]
    return any_of(terms) if isinstance(node, And) else all_of(terms)


def conjuncts(node: Node) -> tuple[Node, ...]:
    """What must all hold for a node to hold: its terms, or itself."""
    return node.terms if isinstance(node, And) else (node,)


def comparisons(node: Node) -> Iterator[Comparison]:
    """Every comparison of a node, from left to right."""
    if isinstance(node, Comparison):
        yield node
    else:
        for term in node.terms:
            yield from comparisons(term)


def mentions(node: Node, field: str) -> bool:
    """Whether a node compares a field."""
    return any(comparison.field == field for comparison in comparisons(node))


def required_metadata(node: Node) -> list[dict[str, Any]]:
    """Objects that the metadata of whatever passes contains (jsonb's ``@>``): for an index to find at least those."""
    found = []
    for term in conjuncts(node):
        if isinstance(term, Comparison) and term.field == "metadata" and not term.negated:
            if term.operator == "=":
                inner: Any = term.value
                for key in reversed(term.keys):
                    inner = {key: inner}
                found.append(inner)
            elif term.operator == "holds":
                found.append(json.loads(str(term.value)))
    return found

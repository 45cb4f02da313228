"""The fields of a filter, and what each may be compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from memory_grpc.errors import InvalidFilter
from memory_grpc.filtering import literals
from memory_grpc.filtering.literals import Written
from memory_grpc.filtering.tree import FIELDS, Node, Operator, Value, compare, negated, present

# The same limits as in the contract, where messages are stored; a test compares them.
LONGEST: Final[Mapping[str, int]] = {"user_id": 128, "conversation_id": 128, "name": 64}
CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "role": ("user", "assistant", "system"),
    "embedding_status": ("pending", "completed", "failed"),
}
MOST_KEYS: Final = 16


def _text(field: str) -> Callable[[Written], str]:
    longest = LONGEST[field]

    def read(value: Written) -> str:
        if not 1 <= len(value.text) <= longest:
            raise InvalidFilter.at(value.position, f"{field} must have 1 to {longest} characters")
        return value.text

    return read


def _choice(field: str) -> Callable[[Written], str]:
    choices = CHOICES[field]

    def read(value: Written) -> str:
        if value.text not in choices:
            raise InvalidFilter.at(value.position, f"{field} must be one of {', '.join(choices)}")
        return value.text

    return read


# Every field but metadata, and what reads a value of it.
_COLUMNS: Final[Mapping[str, Callable[[Written], Value]]] = {
    "user_id": _text("user_id"),
    "conversation_id": _text("conversation_id"),
    "role": _choice("role"),
    "name": _text("name"),
    "created_at": literals.moment,
    "importance": literals.number,
    "pinned": literals.flag,
    "archived": literals.flag,
    "embedding_status": _choice("embedding_status"),
}
_UNORDERED: Final = {"role", "embedding_status", "pinned", "archived"}
_NAMED: Final = f"{', '.join(FIELDS)}.KEY"
_ORDERING: Final = {"<", "<=", ">", ">="}


def checked(path: Sequence[Written], operator: Written, value: Written) -> Node:
    """The comparison of a field (``path``: its name and its keys) with a value. InvalidFilter when there is no such
    field, or it cannot be compared so."""
    field, keys = path[0], path[1:]
    is_any = value.text == "*" and not value.quoted
    if field.text not in FIELDS:
        raise InvalidFilter.at(field.position, f"there is no such field; the fields are {_NAMED}")
    if is_any and operator.text != ":":
        raise InvalidFilter.at(value.position, "* is allowed only after :; text is compared exactly, without wildcards")
    if operator.text == "!=":
        return negated(checked(path, Written("=", operator.position), value))
    if field.text != "metadata":
        if keys:
            raise InvalidFilter.at(keys[0].position, "only metadata has keys")
        return present(field.text) if is_any else _column(field.text, operator, value)
    return _metadata(path, operator, value, is_any=is_any)


def alone(path: Sequence[Written]) -> InvalidFilter:
    """The error of a word without an operator."""
    field = path[0]
    if field.text.upper() in {"AND", "OR", "NOT"}:
        return InvalidFilter.at(field.position, "AND, OR and NOT are written in capitals")
    if field.text in FIELDS:
        return InvalidFilter.at(field.position, "after a field comes an operator: = != < <= > >= or :")
    return InvalidFilter.at(
        field.position, f'a word alone is no comparison; write one as role = "user". The fields are {_NAMED}'
    )


def _column(field: str, operator: Written, value: Written) -> Node:
    if field in _UNORDERED and operator.text in _ORDERING:
        raise InvalidFilter.at(operator.position, f"{field} has no order: use = or !=")
    # A scalar has what it equals.
    symbol = "=" if operator.text == ":" else operator.text
    return compare(field, cast(Operator, symbol), _COLUMNS[field](value))


def _metadata(path: Sequence[Written], operator: Written, value: Written, *, is_any: bool) -> Node:
    keys = tuple(key.text for key in path[1:])
    if len(keys) > MOST_KEYS:
        raise InvalidFilter.at(path[MOST_KEYS + 1].position, f"metadata can be nested at most {MOST_KEYS} deep")
    if not keys:
        if is_any or operator.text != ":":
            raise InvalidFilter.at(path[0].position, "name a key: metadata.KEY, or metadata:KEY to ask if it is there")
        if not value.quoted and "." in value.text:
            raise InvalidFilter.at(
                value.position, "put a key with dots in quotes; for nested keys, write metadata.a.b:*"
            )
        return present("metadata", value.text)
    if is_any:
        return present("metadata", *keys)
    read = _json(value)
    if operator.text == ":":
        return compare("metadata", "has", read, *keys)
    if operator.text in _ORDERING and isinstance(read, bool):
        raise InvalidFilter.at(operator.position, "true and false have no order: use = or !=")
    return compare("metadata", cast(Operator, operator.text), read, *keys)


def _json(value: Written) -> str | float | bool:
    """What a value is as JSON: text in quotes, bare numbers, true and false; other bare words are text."""
    if value.quoted:
        return value.text
    if value.text in {"true", "false"}:
        return literals.flag(value)
    if value.text.lower() in {"true", "false", "null"}:
        raise InvalidFilter.at(
            value.position,
            "write true and false in lower case; nothing equals null (to ask whether a key is there: metadata.KEY:*); "
            "put text that reads like these in quotes",
        )
    return literals.number(value) if literals.is_number(value) else value.text

"""The one translation of a checked filter to SQL: expressions of ``sql/queries/filters.sql``, and parameters."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from memory_grpc.filtering.tree import FIELDS, And, Comparison, Node, Value, comparisons
from memory_grpc.sql_files import texts

_OPERATORS: Final = {"=", "<", "<=", ">", ">="}
# What a projection has of a message: of identifiers a key that stands for them, of a role its first letter.
_KEYS: Final = {"conversation_id": "conversation_key", "user_id": "user_key", "role": "role"}
_PROJECTED: Final = {
    "conversation_id": {"="},
    "user_id": {"=", "present"},
    "role": {"="},
    "created_at": _OPERATORS,
    "importance": _OPERATORS,
    "archived": {"="},
}
_COMMENT: Final = re.compile(r"^--.*\n", re.MULTILINE)
_PLACE: Final = re.compile(r"\{([a-z]+)\}")
_ALIAS: Final = re.compile(r"[a-z_][a-z0-9_]*")
_EXPRESSIONS: Final = {name: _COMMENT.sub("", text) for name, text in texts("expression").items()}


@dataclass(frozen=True, slots=True)
class Where:
    """A condition: its text, and its parameters (``f0``, ``f1``, …). It is true, or it is false or null: to be used as
    it is, not under a NOT."""

    text: str
    params: Mapping[str, object]


def where(node: Node, alias: str, *, projected: bool = False, prefix: str = "f") -> Where:
    """The condition over the columns of ``messages`` under an alias; ``projected``, of ``message_embeddings``, for
    which ``is_projected`` must hold. ``prefix`` begins the names of the parameters, for two conditions in one
    statement."""
    if not _ALIAS.fullmatch(alias):
        raise ValueError("an alias is a plain name")
    if projected and not is_projected(node):
        raise ValueError("a projection does not tell")
    writer = _Writer(alias, prefix, projected=projected)
    text = writer.node(node)
    return Where(text, writer.params)


def is_projected(node: Node) -> bool:
    """Whether the columns that vectors repeat of their messages tell all of it."""
    return all(c.operator in _PROJECTED.get(c.field, ()) for c in comparisons(node))


def text_key(text: str) -> int:
    """What stands for an identifier in a column of 8 bytes, as the function of this name in the database makes it: the
    first bytes of its SHA-256, so that nobody finds another identifier with the same."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)


class _Writer:
    def __init__(self, alias: str, prefix: str, *, projected: bool) -> None:
        self._alias = alias
        self._prefix = prefix
        self._projected = projected
        self.params: dict[str, object] = {}

    def node(self, node: Node) -> str:
        if isinstance(node, Comparison):
            text = self._comparison(node)
            return _filled("filters.negated", expression=text) if node.negated else f"({text})"
        joint = " and " if isinstance(node, And) else " or "
        return f"({joint.join(map(self.node, node.terms))})" if node.terms else "true"

    def _comparison(self, comparison: Comparison) -> str:
        if self._projected and comparison.field in _KEYS:
            return self._key(comparison)
        column = self._column(comparison.field)
        if comparison.field == "metadata":
            return self._metadata(column, comparison)
        if comparison.operator == "present":
            return _filled("filters.present", column=column)
        symbol = _symbol(comparison)
        if isinstance(comparison.value, bool):
            return column if comparison.value else _filled("filters.flag_off", column=column)
        value = self._param(comparison.value)
        return _filled(_family(comparison.value), column=column, operator=symbol, value=value)

    def _key(self, comparison: Comparison) -> str:
        column = _filled("filters.column", alias=self._alias, name=_KEYS[comparison.field])
        if comparison.operator == "present":
            return _filled("filters.key_present", column=column)
        value = str(comparison.value)
        if comparison.field == "role":
            return _filled("filters.initial", column=column, value=self._param(value[0]))
        return _filled("filters.key", column=column, value=self._param(text_key(value)))

    def _metadata(self, column: str, comparison: Comparison) -> str:
        place = column
        for key in comparison.keys:
            place = _filled("filters.member", json=place, value=self._param(key))
        value = comparison.value
        match comparison.operator:
            case "present":
                return _filled("filters.present", column=place)
            case "=":
                return _filled("filters.json_equal", json=place, value=self._json(value))
            case "has":
                return _filled("filters.json_contains", json=place, value=self._json(value))
            case "holds":
                return _filled("filters.json_contains", json=place, value=self._param(value))
            case "reads":
                return _filled("filters.json_reads", json=place, value=self._param(value))
        symbol = _symbol(comparison)
        if isinstance(value, str):
            return _filled("filters.json_text", json=place, operator=symbol, value=self._param(value))
        return _filled("filters.json_number", json=place, operator=symbol, value=self._json(value))

    def _column(self, field: str) -> str:
        if field not in FIELDS:
            raise ValueError("not a field of filters")
        if field == "archived" and not self._projected:
            return _filled("filters.archived_at", alias=self._alias)
        return _filled("filters.column", alias=self._alias, name=field)

    def _json(self, value: Value) -> str:
        return self._param(json.dumps(value, ensure_ascii=False))

    def _param(self, value: object) -> str:
        name = f"{self._prefix}{len(self.params)}"
        self.params[name] = value
        return f"%({name})s"


def _family(value: Value) -> str:
    if isinstance(value, datetime):
        return "filters.time"
    return "filters.text" if isinstance(value, str) else "filters.number"


def _symbol(comparison: Comparison) -> str:
    if comparison.operator not in _OPERATORS:
        raise ValueError("not an operator of a column")
    return comparison.operator


def _filled(expression: str, /, **parts: str) -> str:
    return _PLACE.sub(lambda place: parts[place[1]], _EXPRESSIONS[expression])

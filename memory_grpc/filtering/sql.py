"""The one translation of a checked filter to SQL: expressions of ``sql/queries/filters.sql``, and parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from memory_grpc.filtering.tree import FIELDS, And, Comparison, Node, Value
from memory_grpc.sql_files import texts

Archived = Literal["archived_at", "archived"]

_OPERATORS: Final = {"=", "<", "<=", ">", ">="}
_COMMENT: Final = re.compile(r"^--.*\n", re.MULTILINE)
_PLACE: Final = re.compile(r"\{([a-z]+)\}")
_ALIAS: Final = re.compile(r"[a-z_][a-z0-9_]*")
_EXPRESSIONS: Final = {name: _COMMENT.sub("", text) for name, text in texts("expression").items()}


@dataclass(frozen=True, slots=True)
class Where:
    """A condition: its text, its parameters (``f0``, ``f1``, …), and the columns that it reads. It is true, or it is
    false or null: to be used as it is, not under a NOT."""

    text: str
    params: Mapping[str, object]
    columns: frozenset[str]


def where(node: Node, alias: str, *, archived: Archived = "archived_at") -> Where:
    """The condition over the columns of ``messages``, or of a projection that repeats them, under an alias.

    ``archived`` is the column that says whether a message is archived: by the moment, or as a flag.
    """
    if not _ALIAS.fullmatch(alias):
        raise ValueError("an alias is a plain name")
    writer = _Writer(alias, archived)
    text = writer.node(node)
    return Where(text, writer.params, frozenset(writer.columns))


class _Writer:
    def __init__(self, alias: str, archived: Archived) -> None:
        self._alias = alias
        self._archived = archived
        self.params: dict[str, object] = {}
        self.columns: set[str] = set()

    def node(self, node: Node) -> str:
        if isinstance(node, Comparison):
            text = self._comparison(node)
            return _filled("filters.negated", expression=text) if node.negated else f"({text})"
        joint = " and " if isinstance(node, And) else " or "
        return f"({joint.join(map(self.node, node.terms))})" if node.terms else "true"

    def _comparison(self, comparison: Comparison) -> str:
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
        name = self._archived if field == "archived" else field
        self.columns.add(name)
        if name == "archived_at":
            return _filled("filters.archived_at", alias=self._alias)
        return _filled("filters.column", alias=self._alias, name=name)

    def _json(self, value: Value) -> str:
        return self._param(json.dumps(value, ensure_ascii=False))

    def _param(self, value: object) -> str:
        name = f"f{len(self.params)}"
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

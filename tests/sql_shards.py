"""Which shard a statement asks, read from its text by Postgres' own grammar.

A statement is for one shard if each distributed table in it is bound to the tenant: by ``tenant_id = %(tenant_id)s``,
or by the ``tenant_id`` of a table beside it that is bound. Citus' planner asks the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pglast
from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType

TENANT = 1
_PARAMETER = re.compile(r"%\((\w+)\)[sbt]")


def unbound(query: str, tables: frozenset[str]) -> list[str]:
    """The tables among ``tables`` that a statement reads or writes and that nothing in it binds to a tenant."""
    return sorted(set(_of_node(_parsed(query), tables, frozenset())))


def touched(query: str) -> set[str]:
    """The tables that a statement names."""
    return {node.relname for node in _nodes(_parsed(query)) if isinstance(node, ast.RangeVar)}


def _parsed(query: str) -> Any:
    """The tree of a statement as psycopg sends it; ``$1`` is the tenant."""
    numbers: dict[str, int] = {"tenant_id": TENANT}

    def number(found: re.Match[str]) -> str:
        return f"${numbers.setdefault(found[1], len(numbers) + 1)}"

    (statement,) = pglast.parse_sql(_PARAMETER.sub(number, query).replace("%%", "%"))
    return statement.stmt


def _children(node: Any) -> Iterator[Any]:
    values = node if isinstance(node, tuple) else [getattr(node, name, None) for name in node]
    for value in values:
        if isinstance(value, ast.Node | tuple):
            yield value


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in _children(node):
        yield from _nodes(child)


def _of_node(node: Any, tables: frozenset[str], shadowed: frozenset[str]) -> Iterator[str]:
    """What no level below binds; a common table expression may have the name of a table."""
    if isinstance(node, ast.SelectStmt | ast.UpdateStmt | ast.DeleteStmt | ast.InsertStmt):
        for cte in node.withClause.ctes if node.withClause else ():
            yield from _of_node(cte.ctequery, tables, shadowed)
            shadowed |= {cte.ctename}
        yield from _of_level(node, tables, shadowed)
        for name in node:
            value = getattr(node, name, None)
            if name != "withClause" and isinstance(value, ast.Node | tuple):
                yield from _of_node(value, tables, shadowed)
    else:
        for child in _children(node):
            yield from _of_node(child, tables, shadowed)


def _of_level(node: Any, tables: frozenset[str], shadowed: frozenset[str]) -> Iterator[str]:
    """Which tables one statement or sub-select names in its own FROM, or as what it changes, without binding them."""
    if isinstance(node, ast.InsertStmt):
        if node.relation.relname in tables and not _inserts_bound(node):
            yield node.relation.relname
        return
    items = list(_ranges(node.fromClause if isinstance(node, ast.SelectStmt) else _sources(node)))
    read = {_alias(item): item.relname for item in items if isinstance(item, ast.RangeVar)}
    named = {alias: name for alias, name in read.items() if name not in shadowed}
    loose = set(named)
    conditions = [node.whereClause, *(item.quals for item in items if isinstance(item, ast.JoinExpr))]
    equalities = [pair for condition in conditions for pair in _equalities(condition)]
    while True:
        bound = set()
        for one, other in [*equalities, *((b, a) for a, b in equalities)]:
            alias = _tenant_of(one, named)
            if alias in loose and _is_bound(other, loose, named):
                bound.add(alias)
        if not bound:
            break
        loose -= bound
    yield from (named[alias] for alias in loose if named[alias] in tables)


def _sources(node: Any) -> tuple[Any, ...]:
    others = node.usingClause if isinstance(node, ast.DeleteStmt) else node.fromClause
    return (node.relation, *(others or ()))


def _ranges(items: Any) -> Iterator[Any]:
    for item in items or ():
        yield item
        if isinstance(item, ast.JoinExpr):
            yield from _ranges((item.larg, item.rarg))


def _alias(item: Any) -> str:
    return str(item.alias.aliasname if item.alias else item.relname)


def _equalities(condition: Any) -> Iterator[tuple[Any, Any]]:
    """Both sides of each ``=`` that must hold."""
    if isinstance(condition, ast.BoolExpr) and condition.boolop == BoolExprType.AND_EXPR:
        for one in condition.args:
            yield from _equalities(one)
    elif (
        isinstance(condition, ast.A_Expr) and condition.kind == A_Expr_Kind.AEXPR_OP and condition.name[-1].sval == "="
    ):
        yield condition.lexpr, condition.rexpr


def _tenant_of(node: Any, named: dict[str, str]) -> str | None:
    """The alias whose ``tenant_id`` a column is; one without an alias is that of the only table."""
    if not isinstance(node, ast.ColumnRef) or not isinstance(node.fields[-1], ast.String):
        return None
    if node.fields[-1].sval != "tenant_id":
        return None
    if len(node.fields) > 1:
        return str(node.fields[-2].sval)
    return next(iter(named)) if len(named) == 1 else None


def _is_bound(node: Any, loose: set[str], named: dict[str, str]) -> bool:
    """Whether a value is the tenant: the parameter, or the ``tenant_id`` of a table beside it that is bound. That of a
    common table expression or of the statement around is none: Citus does not look there for the shard."""
    if isinstance(node, ast.TypeCast):
        return _is_bound(node.arg, loose, named)
    if isinstance(node, ast.ParamRef):
        return bool(node.number == TENANT)
    alias = _tenant_of(node, named)
    return alias in named and alias not in loose


def _inserts_bound(node: Any) -> bool:
    """Whether an insert's ``tenant_id`` is the parameter, or the ``tenant_id`` of what it selects from."""
    place = [column.name for column in node.cols].index("tenant_id")
    return all(
        _is_bound(row[place], set(), {}) or _tenant_of(row[place], {"": ""}) is not None
        for row in _rows(node.selectStmt)
    )


def _rows(query: Any) -> Iterator[Any]:
    """The rows that an insert is given, or the columns of each select that gives them."""
    if query.larg:
        yield from _rows(query.larg)
        yield from _rows(query.rarg)
    elif query.valuesLists:
        yield from query.valuesLists
    else:
        yield [target.val for target in query.targetList]

"""Which shard a statement asks, read from its text by Postgres' own grammar.

A statement is for one shard if each distributed table in it is bound to the tenant: by ``tenant_id = %(tenant_id)s``,
or by the ``tenant_id`` of a table beside it that is bound. Citus' planner asks the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import pglast
from pglast import ast
from pglast.enums import A_Expr_Kind, BoolExprType, JoinType

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
        if node.relation.relname in tables and not _inserts_bound(node, shadowed):
            yield node.relation.relname
        return
    named, loose = _named(node, shadowed)
    yield from (named[alias] for alias in loose if named[alias] in tables)


def _named(node: Any, shadowed: frozenset[str]) -> tuple[dict[str, str], set[str]]:
    """The tables in the FROM of a statement, or that it changes, by alias; and the aliases that nothing in it binds."""
    items = list(_ranges(node.fromClause if isinstance(node, ast.SelectStmt) else _sources(node)))
    named = _tables(items, shadowed)
    loose = set(named)
    conditions = [(node.whereClause, set(named))]
    conditions += [(item.quals, _restricted(item, shadowed)) for item in items if isinstance(item, ast.JoinExpr)]
    equalities = [(pair, whose) for condition, whose in conditions for pair in _equalities(condition)]
    equalities += [((b, a), whose) for (a, b), whose in equalities]
    while True:
        bound = set()
        for (one, other), whose in equalities:
            alias = _tenant_of(one, named)
            if alias in loose & whose and _is_bound(other, loose, named):
                bound.add(alias)
        if not bound:
            return named, loose
        loose -= bound


def _tables(items: Iterable[Any], shadowed: frozenset[str]) -> dict[str, str]:
    read = {_alias(item): item.relname for item in items if isinstance(item, ast.RangeVar)}
    return {alias: name for alias, name in read.items() if name not in shadowed}


def _restricted(join: Any, shadowed: frozenset[str]) -> set[str]:
    """The aliases of which a join reads only what its condition allows: of an outer join, those that may be null."""
    sides = {
        JoinType.JOIN_INNER: (join.larg, join.rarg),
        JoinType.JOIN_LEFT: (join.rarg,),
        JoinType.JOIN_RIGHT: (join.larg,),
    }.get(join.jointype, ())
    return set(_tables(_ranges(sides), shadowed))


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


def _inserts_bound(node: Any, shadowed: frozenset[str]) -> bool:
    """Whether an insert's ``tenant_id`` is the parameter, or that of what it selects from, which is bound itself."""
    place = [column.name for column in node.cols].index("tenant_id")
    return all(_gives_tenant(query, place, shadowed) for query in _selects(node.selectStmt))


def _gives_tenant(query: Any, place: int, shadowed: frozenset[str]) -> bool:
    if query.valuesLists:
        return all(_is_bound(row[place], set(), {}) for row in query.valuesLists)
    value = query.targetList[place].val
    named, loose = _named(query, shadowed)
    # What is no table is a common table expression, a function or a select: those are looked at by themselves.
    alias = _tenant_of(value, named or {"": ""})
    return _is_bound(value, loose, named) or (alias is not None and alias not in loose)


def _selects(query: Any) -> Iterator[Any]:
    """The parts of a union, or the one select or VALUES that there is."""
    if query.larg:
        yield from _selects(query.larg)
        yield from _selects(query.rarg)
    else:
        yield query

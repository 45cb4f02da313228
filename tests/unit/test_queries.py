"""SQL lives in sql/queries, named and described; Python names it. Whatever a search reads is led by tenant_id."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import memory_grpc
from memory_grpc.resources import SQL
from memory_grpc.sql_files import texts
from memory_grpc.store import tenant_tables
from memory_grpc.store.queries import QUERIES

PACKAGE = Path(memory_grpc.__file__).parent
FILES = sorted((SQL / "queries").glob("*.sql"))
TREES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
NAME = re.compile(r"[a-z_]+\.[a-z_]+")
HEAD = re.compile(r"^-- (name|fragment|expression): ([a-z_]+\.[a-z_]+)$", re.MULTILINE)
VERBS = {"execute", "one", "all", "later", "part"}

# Statements that are no queries of the service: the table of migrations, the bounds of a transaction, and the
# embedded cluster's own database and user.
SQL_IN_PYTHON = {"store/migrations.py", "store/database.py", "store/opening.py"}
SQL_IN_PYTHON |= {"local/postgres.py", "local/database_user.py"}
STATEMENT = re.compile(
    r"""^\s*(
        select\s+\S | with\s+(recursive\s+)?\w+(\s*\([\w\s,]+\))?\s+as\s | insert\s+into\s | update\s+\w+\s+set\s
        | delete\s+from\s | truncate\s | merge\s+into\s | copy\s+\w+\s+(from|to)\s | begin\s*(;|$) | commit\s*(;|$)
        | rollback\s*(;|$) | set\s+(local|session)\s | vacuum\b | analyze\s+\w+\s*;?$
        | (create|alter|drop)\s+(table|index|unique|database|extension|role|view|function|schema|type)\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)

# Tables whose rows belong to tenants.
TENANT_TABLES = "|".join(table.name for table in tenant_tables.TENANT_TABLES)
READ = re.compile(rf"\b(?:from|join|update|using)\s+(?:only\s+)?({TENANT_TABLES})\b", re.IGNORECASE)
LED = re.compile(r"\b(?:tenant_id\s*=\s*(?:%\(tenant_id\)s|\w+\.tenant_id)|using\s*\(tenant_id\b)", re.IGNORECASE)
# What crosses tenants on purpose: an id alone names a message; the sweep asks who there is; the queues and the
# list of graphs are of all.
CROSS_TENANT = {"messages.get", "messages.tenants", "jobs.lease", "jobs.depth", "idempotency.expire"}
CROSS_TENANT |= {"graphs.all", "graphs.sizes", "word_index.due", "vocabularies.due"}
# Models are the deployment's, and a re-embedding may be of every tenant.
CROSS_TENANT |= {
    "models.of_tenants",
    "models.forget_tenants",
    "reembedding.open",
    "reembedding.newest",
    "reembedding.get",
}
# What everybody did is listed for an administrator of all.
CROSS_TENANT |= {"audit.of_all", "audit.append"}
CROSS_TENANT |= {"erasures.open", "erasures.expire"}
CROSS_TENANT |= {"reembedding.backlog", "reembedding.refused", "reembedding.clear"}


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every string of a module that is no docstring: line and text, the fixed parts of f-strings joined."""
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    within = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(v.value if isinstance(v, ast.Constant) else "x" for v in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in docstrings | within:
            text = node.value.decode(errors="replace") if isinstance(node.value, bytes) else node.value
            if isinstance(text, str):
                yield node.lineno, text


EVERY_STRING = {text for tree in TREES.values() for _, text in strings(tree)}


def named(tree: ast.AST) -> Iterator[str]:
    """Names of queries that a module runs: the literal first argument of the verbs, and keys of QUERIES."""
    for node in ast.walk(tree):
        argument: ast.expr | None = None
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VERBS:
            argument = node.args[0] if node.args else None
        elif isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "QUERIES":
            argument = node.slice
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str) and NAME.fullmatch(argument.value):
            yield argument.value


def code(query: str) -> str:
    """A query without its comments."""
    return re.sub(r"--.*", "", query)


def test_there_are_queries() -> None:
    assert len(QUERIES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_of_queries_holds_nothing_but_queries_fragments_and_expressions(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert HEAD.match(text), "nothing stands before the first name"
    for head in re.findall(r"^-- *(?:name|fragment|expression)\b.*$", text, re.MULTILINE | re.IGNORECASE):
        assert HEAD.fullmatch(head), f"{head!r} would not be found by the loader"
    assert {name for kind, name in HEAD.findall(text) if kind == "name"} <= QUERIES.keys()
    assert {name for kind, name in HEAD.findall(text) if kind == "expression"} <= texts("expression").keys()


def test_every_fragment_is_described_and_used_and_filled_in() -> None:
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    fragments = [name for text in texts for kind, name in HEAD.findall(text) if kind == "fragment"]
    used = {name for text in texts for name in re.findall(r"\{\{(.*?)\}\}", text)}
    assert len(fragments) == len(set(fragments))
    assert used == set(fragments)
    for text in texts:
        for _, name, comment in re.findall(rf"{HEAD.pattern}\n((?:--.*\n)*)", text, re.MULTILINE):
            assert comment, f"{name} has no sentence"
    assert not any("{{" in query or "}}" in query for query in QUERIES.values())


@pytest.mark.parametrize("name", texts("expression"))
def test_an_expression_is_a_part_of_a_condition_that_python_names(name: str) -> None:
    expression = texts("expression")[name]
    assert name in EVERY_STRING, "no Python names it"
    assert not re.search(r";|\b(select|from|join|values)\b|\{\{", code(expression), re.IGNORECASE)
    assert re.search(r"\{[a-z]+\}", code(expression)), "what differs from use to use stands in braces"


@pytest.mark.parametrize(("name", "text"), [*QUERIES.items(), *texts("expression").items()])
def test_it_says_what_it_does_in_a_sentence(name: str, text: str) -> None:
    comment = re.match(r"((?:--.*\n)+)", text)
    assert comment, "a sentence stands between the name and the statement"
    words = " ".join(line.removeprefix("--").strip() for line in comment[1].splitlines())
    assert re.match(r"[A-Z].*\w", words)
    assert re.search(r"\.($| )", words), words


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_one_statement(name: str) -> None:
    assert code(QUERIES[name]).strip().rstrip(";").count(";") == 0


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_is_used(name: str) -> None:
    assert name in EVERY_STRING, "no Python names it"


def test_every_query_that_python_names_exists() -> None:
    used = {name for tree in TREES.values() for name in named(tree)}
    assert len(used) > 20
    assert used <= QUERIES.keys()


@pytest.mark.parametrize("module", [module for module in TREES if module not in SQL_IN_PYTHON])
def test_python_holds_no_sql(module: str) -> None:
    assert [f"line {line}: {text[:60]}" for line, text in strings(TREES[module]) if STATEMENT.match(text)] == []


def test_the_database_module_holds_the_bounds_of_a_transaction_and_no_more() -> None:
    found = [text for _, text in strings(TREES["store/database.py"]) if STATEMENT.match(text)]
    assert found
    assert all(re.match(r"begin;|commit$|rollback$", text) for text in found)


@pytest.mark.parametrize(
    ("text", "is_sql"),
    [
        ("select 1", True),
        ("  SELECT id\nFROM messages", True),
        ("insert into messages values (1)", True),
        ("update messages set id = 1", True),
        ("delete from messages", True),
        ("with x as (select 1) select 1", True),
        ("begin", True),
        ("create index i on t (x)", True),
        ("select", False),
        ("delete", False),
        ("Update the policy of a tenant.", False),
        ("with a key", False),
        ("begin_run", False),
    ],
)
def test_this_test_knows_sql(text: str, is_sql: bool) -> None:
    assert bool(STATEMENT.match(text)) is is_sql


@pytest.mark.parametrize("name", [name for name in QUERIES if name not in CROSS_TENANT])
def test_every_read_of_a_tenant_s_table_is_led_by_its_tenant(name: str) -> None:
    text = code(QUERIES[name])
    reads = READ.findall(text)
    # A common table expression may have the name of a table only at the price of confusing this test, and readers.
    assert not re.search(rf"\b(?:with|,)\s+(?:recursive\s+)?(?:{TENANT_TABLES})\s+as\b", text)
    assert len(LED.findall(text)) >= len(reads), f"{len(reads)} reads: {reads}"


def test_what_crosses_tenants_exists_and_is_no_search() -> None:
    assert QUERIES.keys() >= CROSS_TENANT
    searches = {name for name in QUERIES if name.split(".")[0] in {"search", "hybrid", "lexical"}}
    assert searches
    assert not searches & CROSS_TENANT


@pytest.mark.parametrize("name", [name for name in QUERIES if name.split(".")[0] in {"search", "hybrid"}])
def test_every_search_filters_its_tenant_by_parameter(name: str) -> None:
    text = code(QUERIES[name])
    if READ.search(text):
        assert re.search(r"\btenant_id = %\(tenant_id\)s", text)

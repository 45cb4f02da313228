"""Imports flow one way, read from the source of every module: contract → server → interceptors → services →
operations → {store, embedding}; store → filtering; jobs → operations. What is pure stays pure; no module outgrows a
reader."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import memory_grpc

PACKAGE = Path(memory_grpc.__file__).parent
MODULES = {
    ".".join(("memory_grpc", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
TOOLS = {str(path.relative_to(PACKAGE.parent)): path for path in sorted((PACKAGE.parent / "tools").rglob("*.py"))}
# Beside the package in a checkout, and not installed with it.
CHECKOUT = {"tools", "tests", "bench"}
LONGEST_MODULE = 300

# Part of the package -> the parts it may import, besides itself. Parts that are not named (commands, the local
# processes) stand at the top: they import what they like, and none of the parts below imports them.
PURE = {"errors", "domain"}
FLOW: dict[str, set[str]] = {
    "errors": set(),
    "domain": {"ranking", "filtering"},
    "ids": set(),
    "cpus": set(),
    "positions": {"errors"},
    "resources": set(),
    "sql_files": {"resources"},
    "filtering": {"errors", "sql_files"},
    "scoring": {"domain"},
    "ranking": set(),
    "setting_types": {*PURE, "addresses"},
    "setting_groups": {*PURE, "setting_types"},
    "service_links": set(),
    "settings": {*PURE, "service_links", "setting_types", "setting_groups"},
    "deadline": PURE,
    "access": set(),
    "accounts": {"access", "observability"},
    "fair_places": set(),
    "lately": set(),
    "at_work": {"fair_places", "lately"},
    "addresses": set(),
    "bounded_connection": {"addresses"},
    "whole_answer": set(),
    "paging": PURE,
    "observability": {*PURE, "bounded_connection", "ports", "resources", "version"},
    "rpc_facts": set(),
    "rpcs": {"rpc_facts", "contract"},
    # The generated part of it is of the contract, and imports it.
    "client": {"addresses", "positions", "rpcs", "contract", "version"},
    "headers": set(),
    "offload": {"accounts", "fair_places"},
    "encode": set(),
    "limit_rules": set(),
    "object_faults": set(),
    "validation": {*PURE, "limit_rules", "object_faults", "rpcs", "contract"},
    "store": {
        *PURE,
        "accounts",
        "fair_places",
        "lately",
        "observability",
        "deadline",
        "positions",
        "offload",
        "sql_files",
        "resources",
        "ranking",
        "scoring",
        "filtering",
    },
    "embedding": {
        *PURE,
        "accounts",
        "addresses",
        "at_work",
        "cpus",
        "lately",
        "resources",
        "settings",
        "observability",
        "deadline",
        "whole_answer",
    },
    "reranking": {*PURE, "embedding", "settings", "whole_answer"},
    "operations": {
        *PURE,
        "reranking",
        "accounts",
        "access",
        "ids",
        "addresses",
        "at_work",
        "paging",
        "store",
        "embedding",
        "ranking",
        "scoring",
        "filtering",
        "deadline",
        "offload",
        "observability",
        "positions",
        "settings",
        "whole_answer",
    },
    "jobs": {*PURE, "operations", "store", "embedding", "observability", "deadline", "settings"},
    "ports": {"errors"},
    "tls": {*PURE, "settings"},
    "tls_server": {*PURE, "settings", "tls"},
    "reflection": set(),
    "probes": set(),
    "server": {
        *PURE,
        "addresses",
        "at_work",
        "ports",
        "reflection",
        "probes",
        "interceptors",
        "services",
        "operations",
        "settings",
        "observability",
        "rpcs",
        "tls_server",
    },
    "services": {
        *PURE,
        "access",
        "filtering",
        "encode",
        "headers",
        "offload",
        "operations",
        "paging",
        "settings",
        "contract",
        "version",
    },
    "interceptors": {
        *PURE,
        "addresses",
        "accounts",
        "access",
        "encode",
        "headers",
        "limit_rules",
        "offload",
        "positions",
        "services",
        "rpc_facts",
        "rpcs",
        "validation",
        "deadline",
        "observability",
        "settings",
        "contract",
    },
}
# Part -> libraries that it never imports, itself or through what it imports.
GRPC = {"grpc", "grpc_health", "grpc_reflection", "grpc_status"}
DRIVER = {"psycopg", "psycopg_pool", "pgvector"}
PROTOBUF = {"google", "memory_layer"}
MODEL = {"torch", "onnx", "onnxruntime", "transformers", "sentence_transformers", "tokenizers", "safetensors"}
FORBIDDEN_DIRECTLY: dict[str, set[str]] = {
    "errors": GRPC | DRIVER | PROTOBUF | MODEL | {"pydantic", "structlog", "numpy"},
    "domain": GRPC | DRIVER | PROTOBUF | MODEL | {"pydantic", "structlog", "numpy"},
    "scoring": GRPC | DRIVER | PROTOBUF | MODEL | {"pydantic", "structlog", "numpy"},
    "ranking": GRPC | DRIVER | PROTOBUF | MODEL,
    "store": GRPC | PROTOBUF | MODEL,
    "embedding": GRPC | DRIVER | PROTOBUF,
    "reranking": GRPC | DRIVER | PROTOBUF,
    "operations": GRPC | DRIVER | PROTOBUF | MODEL,
    "jobs": GRPC | DRIVER | PROTOBUF | MODEL,
    "services": DRIVER | MODEL,
    "interceptors": DRIVER | MODEL,
    "server": DRIVER | MODEL,
}
FORBIDDEN_AT_ANY_DISTANCE: dict[str, set[str]] = {
    "client": DRIVER | MODEL | {"pydantic", "numpy", "structlog"},
    "errors": GRPC | DRIVER | PROTOBUF | MODEL,
    "domain": GRPC | DRIVER | PROTOBUF | MODEL,
    "scoring": GRPC | DRIVER | PROTOBUF | MODEL,
    "ranking": GRPC | DRIVER | PROTOBUF | MODEL,
    "store": GRPC | PROTOBUF | MODEL,
    "embedding": GRPC | DRIVER | PROTOBUF,
    "operations": GRPC | PROTOBUF,
    "jobs": GRPC | PROTOBUF,
}


def imports(module: str, tree: ast.Module, *, is_package: bool = False) -> set[str]:
    """Every module that a module names in an import, wherever in it: full names, relative ones resolved."""
    package = module if is_package else module.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1])
                base = f"{parent}.{base}" if base else parent
            # `from package import module` names a module; `from module import name` does not.
            submodules = {f"{base}.{alias.name}" for alias in node.names}
            known = submodules & MODULES.keys()
            found |= known
            if len(known) < len(submodules):
                found.add(base)
    return found


def part(module: str) -> str:
    """``memory_grpc.store.search`` -> ``store``; the package itself holds the version; libraries by their name."""
    if module == "memory_grpc":
        return "version"
    if module.startswith("memory_grpc."):
        return module.split(".")[1]
    return "contract" if module.startswith("memory_layer") else module.split(".")[0]


def violations(module: str, imported: set[str]) -> Iterator[str]:
    """What is wrong with a module's imports."""
    own = part(module)
    if own not in FLOW:
        return
    for name in sorted(imported):
        ours = name.startswith(("memory_grpc", "memory_layer"))
        if ours and part(name) != own and part(name) not in FLOW[own]:
            yield f"{module} imports {name}: {own} may not know {part(name)}"
        if name.split(".")[0] in FORBIDDEN_DIRECTLY.get(own, set()):
            yield f"{module} imports {name}: not in {own}"


def read(module: str) -> set[str]:
    path = MODULES[module]
    return imports(module, ast.parse(path.read_text(encoding="utf-8")), is_package=path.name == "__init__.py")


GRAPH = {module: read(module) for module in MODULES}


def reachable(module: str) -> set[str]:
    """Everything a module imports, directly or through modules of ours."""
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        for name in GRAPH[waiting.pop()] - seen:
            seen.add(name)
            waiting += [name] if name in GRAPH else []
    return seen


@pytest.mark.parametrize("module", [module for module in MODULES if part(module) in FLOW])
def test_a_module_imports_only_what_lies_below_it(module: str) -> None:
    assert list(violations(module, GRAPH[module])) == []


@pytest.mark.parametrize("name", FORBIDDEN_AT_ANY_DISTANCE)
def test_what_is_apart_stays_apart_at_any_distance(name: str) -> None:
    for module in MODULES:
        if part(module) == name:
            libraries = {imported.split(".")[0] for imported in reachable(module)}
            assert not libraries & FORBIDDEN_AT_ANY_DISTANCE[name], module


def test_the_flow_has_no_circle() -> None:
    done: set[str] = {"contract", "version"}
    waiting = dict(FLOW)
    while ready := [name for name, below in waiting.items() if below <= done]:
        done |= set(ready)
        waiting = {name: below for name, below in waiting.items() if name not in done}
    assert waiting == {}


def test_every_part_of_the_flow_exists() -> None:
    assert FLOW.keys() <= {part(module) for module in MODULES}


@pytest.mark.parametrize(
    ("module", "source", "wrong"),
    [
        ("memory_grpc.store.x", "import grpc", True),
        ("memory_grpc.store.x", "from grpc import aio", True),
        ("memory_grpc.store.x", "def f():\n    import grpc.aio", True),
        ("memory_grpc.store.x", "from memory_layer.v1 import message_pb2", True),
        ("memory_grpc.store.x", "from memory_grpc import operations", True),
        ("memory_grpc.store.x", "from ..operations import ingest", True),
        ("memory_grpc.store.x", "from .. import services", True),
        ("memory_grpc.store.x", "import psycopg\nfrom . import jobs\nfrom memory_grpc import deadline", False),
        ("memory_grpc.services.x", "import psycopg", True),
        ("memory_grpc.services.x", "from memory_grpc.store import jobs", True),
        ("memory_grpc.services.x", "import grpc\nfrom memory_grpc.operations.messages.get import Get", False),
        ("memory_grpc.operations.x", "import grpc", True),
        ("memory_grpc.operations.x", "from psycopg import sql", True),
        ("memory_grpc.operations.x", "from memory_grpc.services import convert", True),
        ("memory_grpc.operations.x", "from memory_grpc.commands import up", True),
        ("memory_grpc.operations.x", "from memory_grpc.jobs.sweep import Sweep", True),
        ("memory_grpc.scoring", "from memory_grpc import errors", True),
        ("memory_grpc.scoring", "import math\nfrom memory_grpc.domain import ScoreWeights", False),
        ("memory_grpc.jobs.x", "from memory_grpc.operations.retention.retain import Retain", False),
        ("memory_grpc.jobs.x", "from memory_grpc.server import Server", True),
        ("memory_grpc.embedding.x", "from memory_grpc.store import jobs", True),
        ("memory_grpc.cli", "import grpc, psycopg\nfrom memory_grpc.app import running", False),
    ],
)
def test_this_test_sees(module: str, source: str, wrong: bool) -> None:
    assert bool(list(violations(module, imports(module, ast.parse(source))))) is wrong


@pytest.mark.parametrize("module", MODULES)
def test_the_package_knows_nothing_of_what_stands_beside_it_in_a_checkout(module: str) -> None:
    assert not {name.split(".")[0] for name in GRAPH[module]} & CHECKOUT


@pytest.mark.parametrize("module", [*MODULES, *TOOLS])
def test_a_module_is_short_and_says_what_it_is(module: str) -> None:
    text = (MODULES | TOOLS)[module].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "a module begins with a docstring"

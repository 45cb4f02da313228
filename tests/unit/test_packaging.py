"""What is installed with what: declared libraries, their lower bounds, and the wheel in an environment of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import memory_grpc
from memory_grpc import resources
from memory_layer.v1 import message_pb2
from tests.conftest import free_port
from tests.unit.client.flaky import flaky_server
from tests.unit.test_imports import GRAPH, MODULES, part, reachable

PROJECT = tomllib.loads((resources.ROOT / "pyproject.toml").read_text())["project"]
BASE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = {name: [Requirement(line) for line in lines] for name, lines in PROJECT["optional-dependencies"].items()}
PINS = {
    str(canonicalize_name(name)): Version(version)
    for name, version in re.findall(r"^(\S+)==(\S+)$", (resources.ROOT / "constraints.txt").read_text(), re.M)
}
STUBS = sorted((resources.ROOT / "gen").rglob("*_pb2*.py"))


def closure(requirements: list[Requirement]) -> set[str]:
    """The distributions that requirements bring into an environment like this one, with all that those need."""
    found: set[tuple[str, str]] = set()
    waiting = [(one, extra) for one in requirements for extra in ("", *one.extras)]
    while waiting:
        requirement, extra = waiting.pop()
        name = str(canonicalize_name(requirement.name))
        if (name, extra) in found:
            continue
        found.add((name, extra))
        # Of this project what its file says now, not what was installed of it.
        own = EXTRAS.get(extra, BASE) if name == PROJECT["name"] else None
        for one in own or map(Requirement, metadata.requires(name) or ()):
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                waiting += [(one, wanted) for wanted in ("", *one.extras)]
    return {name for name, _ in found} - {PROJECT["name"]}


def lower_bound(requirement: Requirement) -> Version:
    (specifier,) = requirement.specifier
    assert specifier.operator == ">="
    return Version(specifier.version)


def test_the_lower_bounds_are_what_the_stubs_check_when_they_are_imported():
    source = "\n".join(path.read_text() for path in STUBS)
    protobuf = {
        ".".join(found)
        for found in re.findall(r"ValidateProtobufRuntimeVersion\(\s*[\w.]+,\s*(\d+),\s*(\d+),\s*(\d+),", source)
    }
    grpc = set(re.findall(r"^GRPC_GENERATED_VERSION = '(.+)'$", source, re.M))
    assert len(protobuf) == len(grpc) == 1
    everything = {requirement.name: requirement for lines in (BASE, EXTRAS["server"]) for requirement in lines}
    assert lower_bound(everything["protobuf"]) == Version(*protobuf)
    of_grpc = [requirement for name, requirement in everything.items() if name.startswith("grpcio")]
    assert {requirement.name: lower_bound(requirement) for requirement in of_grpc} == {
        name: Version(*grpc) for name in ("grpcio", "grpcio-health-checking", "grpcio-reflection", "grpcio-status")
    }


def test_what_is_declared_is_pinned_at_a_version_that_is_allowed():
    for requirement in [*BASE, *(line for lines in EXTRAS.values() for line in lines)]:
        if requirement.name != PROJECT["name"]:
            assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)]), requirement.name


def libraries(modules: set[str]) -> set[str]:
    """The libraries that modules import anywhere, as distributions."""
    of_package = metadata.packages_distributions()
    tops = {imported.split(".")[0] for module in modules for imported in GRAPH[module]}
    tops -= {*sys.stdlib_module_names, "memory_grpc", "memory_layer"}
    return {str(canonicalize_name(name)) for top in tops for name in of_package.get(top, [f"{top} (unknown)"])}


def test_every_library_that_is_imported_is_declared():
    shipped = [one for name in EXTRAS.keys() - {"dev"} for one in EXTRAS[name]]
    assert libraries(set(MODULES)) - closure([*BASE, *shipped]) == set()


# What runs the service or works on its database, and what needs another extra.
SERVER_COMMANDS = ("serving", "distribute", "distribute_app", "mcp", "mcp_app")


def test_commands_that_use_the_service_need_the_base_alone():
    with_extras = {f"memory_grpc.commands.{name}" for name in SERVER_COMMANDS}
    clients = {module for module in MODULES if part(module) == "commands"} - with_extras
    needed = set.union(clients, *(reachable(module) & MODULES.keys() for module in clients))
    assert needed & {*with_extras, "memory_grpc.app"} == set()
    assert libraries(needed) - closure(BASE) == set()


def test_the_base_brings_neither_the_model_nor_the_driver():
    heavy = {"torch", "onnxruntime", "sentence-transformers", "transformers", "numpy", "psycopg", "pgvector"}
    assert closure(BASE) & heavy == set()
    assert heavy <= closure(EXTRAS["server"])


# -- the wheel, installed


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    done = subprocess.run(command, cwd=resources.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def base(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment that holds the wheel and what its base declares, and nothing else.

    What it declares is installed here too, so it is copied and not fetched.
    """
    folder = tmp_path_factory.mktemp("base")
    venv.create(folder, symlinks=True, with_pip=False)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in closure(BASE):
        distribution = metadata.distribution(name)
        for file in distribution.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(distribution.locate_file(file)), target)
    pip(folder / "bin", "install", "--no-index", "--no-deps", str(wheel))
    return folder / "bin"


def pip(binaries: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", binaries / "python", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def run(binaries: Path, program: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a program of the environment, outside the checkout and without what leads to it."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "COLUMNS": "200"}
    return subprocess.run(
        [binaries / program, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def test_the_wheel_holds_the_package_the_stubs_and_what_they_read(wheel: Path):
    held = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[0] for name in held}
    assert tops == {"memory_grpc", "memory_layer", f"memory_grpc-{memory_grpc.__version__}.dist-info"}
    assert not [name for name in held if "codegen" in name or "variants" in name]
    assert {
        "memory_grpc/_resources/sql/schema.sql",
        "memory_grpc/_resources/envoy.yaml",
        "memory_grpc/py.typed",
    } <= held


def test_everything_that_the_base_declares_is_there(base: Path):
    pip(base, "check")


def test_the_client_needs_the_base_alone(base: Path, tmp_path: Path):
    source = """
import importlib, pkgutil
from importlib.util import find_spec
from memory_grpc import client, commands
from memory_layer.v1 import memory_service_pb2, memory_service_pb2_grpc
for package in (client, commands):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)
print([name for name in ("torch", "numpy", "psycopg", "structlog", "tools", "tests") if find_spec(name)])
"""
    done = run(base, "python", "-c", source, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_the_client_calls(base: Path, tmp_path: Path):
    source = """
import asyncio, sys
from memory_grpc.client import AsyncMemoryClient, MemoryClient
with MemoryClient(sys.argv[1], tenant_id="acme") as memory:
    print(memory.remember("hello", conversation_id="c").content)
async def later():
    async with AsyncMemoryClient(sys.argv[1], tenant_id="acme") as memory:
        print((await memory.remember("again", conversation_id="c")).content)
asyncio.run(later())
"""
    with flaky_server() as server:
        server.answer = lambda request: message_pb2.Message(content=request.content)
        done = run(base, "python", "-c", source, server.address, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "hello\nagain\n"), done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"], ["import", "--help"], ["eval", "--help"]])
def test_the_command_line_explains_itself(base: Path, tmp_path: Path, arguments: list[str]):
    done = run(base, "memory-grpc", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "memory-grpc" in done.stdout


def test_the_client_finds_out_that_there_is_no_server(base: Path, tmp_path: Path):
    (tmp_path / "l.jsonl").write_text('{"tenant_id": "t", "conversation_id": "c", "role": "user", "content": "x"}\n')
    address = f"127.0.0.1:{free_port()}"
    for arguments in (["search", "x", "--tenant", "t"], ["import", "l.jsonl"], ["policy", "show", "--tenant", "t"]):
        done = run(base, "memory-grpc", *arguments, "--address", address, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(f"No server answers at {address}")


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        ("up", "local"),
        ("serve", "server"),
        ("migrate", "server"),
        ("envoy-config", "server"),
        ("mcp --tenant t --user u", "mcp"),
    ],
)
def test_a_command_that_needs_more_says_what_to_install(base: Path, tmp_path: Path, command: str, extra: str):
    done = run(base, "memory-grpc", *command.split(), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"pip install 'memory-grpc[{extra}]'.\n")
    assert done.stderr.count("\n") == 1

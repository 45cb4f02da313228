"""Runs protoc: the Python stubs and the descriptor set, into a directory.

protoc and the google/protobuf files come from grpcio-tools, the google/api and google/rpc files from
googleapis-common-protos, the .pyi plugins from mypy-protobuf: all of them wheels, none copied into the repository.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from tools.codegen.problem import CodegenError

DESCRIPTORS = "memory_layer.binpb"
# Envoy needs the types of error details in the set to print them as JSON; nothing of the contract imports them.
_ERROR_DETAILS = ["google/rpc/error_details.proto", "google/rpc/status.proto"]


def tool(name: str) -> str:
    """Path of a program of the running interpreter's environment, activated or not.

    Raises:
        CodegenError: it is not installed there.
    """
    directories = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    for directory in directories:
        if found := shutil.which(name, path=directory):
            return found
    raise CodegenError(f"{name} is not installed beside {Path(sys.executable).name}: install the project's dev extra.")


def generate_stubs(proto: Path, out: Path) -> None:
    """Writes the descriptor set and the stubs of every file under ``proto`` into ``out``.

    gRPC stubs are written only for files that declare a service. Any warning of protoc (an unused import) is an error.

    Raises:
        CodegenError: there are no protos, a tool is missing, or protoc refuses a file.
    """
    files = sorted(path.relative_to(proto).as_posix() for path in proto.rglob("*.proto"))
    if not files:
        raise CodegenError("proto/ holds no .proto file: run this in a checkout of the repository.")
    write_descriptors(proto, out / DESCRIPTORS, files)
    _protoc(proto, files, [f"--python_out={out}", f"--plugin={tool('protoc-gen-mypy')}", f"--mypy_out=quiet:{out}"])
    with_service = _files_with_services(out / DESCRIPTORS, files)
    if with_service:
        plugin = f"--plugin={tool('protoc-gen-mypy_grpc')}"
        _protoc(proto, with_service, [f"--grpc_python_out={out}", plugin, f"--mypy_grpc_out=quiet:{out}"])


def write_descriptors(proto: Path, target: Path, files: list[str] | None = None) -> None:
    """Writes the FileDescriptorSet of ``files`` (default: all) with their imports, comments and error detail types."""
    if files is None:
        files = sorted(path.relative_to(proto).as_posix() for path in proto.rglob("*.proto"))
    options = ["--include_imports", "--include_source_info", f"--descriptor_set_out={target}"]
    _protoc(proto, [*files, *_ERROR_DETAILS], options)


def _protoc(proto: Path, files: list[str], options: list[str]) -> None:
    """One run of protoc; its own words are the error message."""
    command = [sys.executable, "-m", "grpc_tools.protoc", "--fatal_warnings", f"-I{proto}", f"-I{_googleapis()}"]
    done = subprocess.run([*command, *options, *files], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).replace(f"{proto}/", "")
        words = "; ".join(line.strip() for line in said.splitlines()) or f"exit code {done.returncode}"
        raise CodegenError(f"protoc refused the contract: {words}")


def _googleapis() -> Path:
    """The include directory of the installed googleapis-common-protos."""
    try:
        wheel = metadata.distribution("googleapis-common-protos")
    except metadata.PackageNotFoundError:
        raise CodegenError("googleapis-common-protos is not installed: install the project's dependencies.") from None
    return Path(str(wheel.locate_file("")))


def _files_with_services(descriptors: Path, files: list[str]) -> list[str]:
    """Those of ``files`` that declare a service."""
    described = FileDescriptorSet.FromString(descriptors.read_bytes())
    return sorted(file.name for file in described.file if file.service and file.name in files)

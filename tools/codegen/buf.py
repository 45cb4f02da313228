"""buf, offline: it reads a descriptor set made by protoc, since google/api is neither in the repository nor fetched.

The set holds the imports too; ``--path`` keeps buf to the project's own package.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from tools.codegen.problem import CodegenError
from tools.codegen.protoc import DESCRIPTORS, tool, write_descriptors

_OWN = ("--path", "memory_layer")


def lint(proto: Path, config: Path) -> str:
    """Lints the contract by ``buf.yaml``: buf's findings, one a line; empty when there are none.

    Raises:
        CodegenError: the protos do not compile, or buf cannot run.
    """
    return _buf("lint", proto, config)


def breaking(proto: Path, config: Path, against: Path) -> str:
    """Compares the contract with an older descriptor set: what breaks its clients, one a line.

    Raises:
        CodegenError: as ``lint``; also when there is no such file.
    """
    if not against.is_file():
        raise CodegenError(f"{against} is no file: name the descriptor set to compare with.")
    return _buf("breaking", proto, config, "--against", str(against.resolve()))


def _buf(command: str, proto: Path, config: Path, *options: str) -> str:
    """Runs buf on a set made from proto/ now: gen/ may be older."""
    if not config.is_file():
        raise CodegenError(f"{config.name} is missing: run this in a checkout of the repository.")
    program = tool("buf")
    with tempfile.TemporaryDirectory(prefix="memory-buf-") as scratch:
        write_descriptors(proto, Path(scratch) / DESCRIPTORS)
        arguments = [program, command, DESCRIPTORS, "--config", str(config.resolve()), *_OWN, *options]
        # buf keeps a module cache in the home directory, which need not be writable.
        environment = {**os.environ, "BUF_CACHE_DIR": scratch}
        done = subprocess.run(arguments, cwd=scratch, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 100):  # 100: there are findings
        raise CodegenError(f"buf {command} could not run: {' '.join(done.stderr.split())}")
    return done.stdout

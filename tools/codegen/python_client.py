"""What the Python client is generated of: ``memory_layer.client``."""

from __future__ import annotations

from pathlib import Path

from tools.codegen.contract import Contract
from tools.codegen.python_calls import ASYNC, SYNC, calls_module, rpcs_module
from tools.codegen.python_types import dataclasses_of

FOLDER = "memory_layer/client"


def write_client(contract: Contract, out: Path) -> None:
    """Writes the modules into ``out``. Raises CodegenError for what the client has no type or no name for."""
    folder = out / FOLDER
    folder.mkdir(parents=True)
    modules = {
        "types.py": dataclasses_of(contract),
        "rpcs.py": rpcs_module(contract),
        "calls.py": calls_module(contract, SYNC),
        "async_calls.py": calls_module(contract, ASYNC),
    }
    (folder / "py.typed").touch()
    for name, source in modules.items():
        (folder / name).write_text(source, encoding="utf-8")

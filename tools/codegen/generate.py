"""Writes gen/, or compares it with what would be written."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tools.codegen.descriptors import read_contract
from tools.codegen.openapi import OPENAPI, document, dump
from tools.codegen.protoc import DESCRIPTORS, generate_stubs
from tools.codegen.python_client import write_client


def write(proto: Path, gen: Path) -> list[str]:
    """Brings ``gen`` up to date with ``proto`` and returns the paths that changed, relative to ``gen``.

    Files that are current are not touched, so that their times say when they changed; files that nothing generates any
    more are removed. Everything is generated before anything is written: an error leaves ``gen`` as it was.
    """
    wanted = generated(proto)
    changed = differences(wanted, gen)
    for name in changed:
        path = gen / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            scratch = path.with_name(f"{path.name}.new")
            scratch.write_bytes(wanted[name])
            scratch.replace(path)  # whoever imports a stub meanwhile sees the old one or the new one
        else:
            path.unlink()
    return changed


def generated(proto: Path) -> dict[str, bytes]:
    """Every generated file: path relative to gen/ → content. The same protos give the same bytes.

    Raises:
        CodegenError: the contract cannot be compiled or documented.
    """
    with tempfile.TemporaryDirectory(prefix="memory-codegen-") as scratch:
        out = Path(scratch)
        generate_stubs(proto, out)
        contract = read_contract((out / DESCRIPTORS).read_bytes())
        (out / OPENAPI).write_text(dump(document(contract)), encoding="utf-8")
        write_client(contract, out)
        return {path.relative_to(out).as_posix(): path.read_bytes() for path in _files(out)}


def differences(wanted: dict[str, bytes], gen: Path) -> list[str]:
    """Paths relative to ``gen`` that are missing, differ or are stale, sorted."""
    there = {path.relative_to(gen).as_posix(): path.read_bytes() for path in _files(gen)}
    return sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))


def _files(directory: Path) -> list[Path]:
    """Every file below a directory but what Python caches there when the stubs are imported."""
    return sorted(path for path in directory.rglob("*") if path.is_file() and "__pycache__" not in path.parts)

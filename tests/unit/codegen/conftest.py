"""A checkout to break: the contract's files in a temporary directory."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from memory_grpc import resources


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of proto/, gen/ and buf.yaml."""
    skip = shutil.ignore_patterns("__pycache__")
    for name in ("proto", "gen"):
        shutil.copytree(resources.ROOT / name, tmp_path / name, ignore=skip)
    shutil.copy(resources.ROOT / "buf.yaml", tmp_path)
    return tmp_path

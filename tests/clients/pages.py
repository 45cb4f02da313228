"""The programs of docs/clients, taken out of the pages, and what they print."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADDRESS = "127.0.0.1:8000"
OF_MEMORY_SERVICE = "access context errors limits listing memory_service message revision rpc"


def block(page: str, language: str) -> str:
    """The one fenced block of a language."""
    text = (ROOT / "docs" / page).read_text()
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return str(found)


def program(page: str, language: str, port: int) -> str:
    """The same, calling another port."""
    source = block(page, language)
    assert ADDRESS in source
    return source.replace(ADDRESS, f"127.0.0.1:{port}")


def needs(*tools: str, installed_by: str) -> None:
    """Skips the test, and says by whose fault, where a program is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: {installed_by}")


def run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    """Standard output of a command that must succeed, in a folder with the contract at gen/."""
    if not (folder / "gen").exists():
        (folder / "gen").symlink_to(ROOT / "gen")
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return done.stdout


def check(printed: str, refused: str = "INVALID_ARGUMENT") -> None:
    """Ingested, found, streamed, and an error with its details."""
    lines = printed.splitlines()
    assert re.fullmatch(r"completed [0-9a-f-]{36}", lines[0])
    assert re.fullmatch(r"0\.\d{3} I love Python programming", lines[1])
    assert lines[2:] == [*(f"acknowledged {n}" for n in range(3)), f"{refused} INVALID_FIELD conversation_id"]

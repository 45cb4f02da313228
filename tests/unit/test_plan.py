"""The plan in docs/scaling.md is what the command prints, and nodes follow from whichever runs out first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def printed(*arguments: str) -> str:
    command = [sys.executable, str(ROOT / "bench/scaling/plan.py"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def last(table: str) -> list[str]:
    """The cells of the billion."""
    return [cell.strip() for cell in table.splitlines()[-1].strip("|").split("|")]


def test_the_document_shows_what_the_command_prints() -> None:
    assert printed() in (ROOT / "docs/scaling.md").read_text(encoding="utf-8")


def test_prices_and_disks_are_the_readers() -> None:
    *_, money, of_a_million = last(printed("--core-hour-price", "0", "--gigabyte-month-price", "1", "--copies", "3"))
    assert (money, of_a_million) == ("11,886", "11.89")
    parts, nodes = last(printed("--gigabytes-a-node", "100"))[6:8]
    assert (parts, nodes) == ("40", "80")
    assert last(printed("--searches-a-second", "20"))[6] == "17"

"""The plan in docs/scaling.md is what the command prints, and nodes follow from whichever runs out first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
    assert (money, of_a_million) == ("16,980", "16.98")
    parts, nodes = last(printed("--gigabytes-a-node", "100"))[7:9]
    assert (parts, nodes) == ("57", "114")
    assert last(printed("--searches-a-second", "20"))[7] == "17"


def test_no_disk_is_planned_fuller_than_it_is_to_be() -> None:
    """A billion messages of 3,962 bytes would fill four disks of 1,000 GB to 99 %."""
    gigabytes, disk = (float(cell.replace(",", "")) for cell in last(printed())[3:5])
    assert disk == pytest.approx(gigabytes / 0.7, abs=1)
    for free, parts in (("0", "4"), ("0.3", "6"), ("0.5", "8")):
        *_, parts_then, _, _, _ = last(printed("--free-disk", free))
        assert parts_then == parts

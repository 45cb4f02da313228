"""The chaos tests, as long as asked, and a table of what held: ``python bench/chaos.py [--long] [--only N …]``.

The short form is what pytest runs of them anyway; ``--long`` is the form of docs/reliability.md. Single numbers can be
changed by their environment variables, CHAOS_KILL_SERVER and the others below. Exit code 1 when something did not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# Items that are tested where the rest of their kind is: they report in the same way.
TESTS = (
    "tests/chaos",
    "tests/integration/test_api_keys.py",
    "tests/integration/test_access_matrix.py",
    "tests/integration/test_exact_identifiers.py",
)
LONG = {
    "CHAOS_KILL_SERVER": 20,
    "CHAOS_KILL_POSTGRES": 10,
    "CHAOS_CUT": 1000,
    "CHAOS_SIGTERM": 5,
    "CHAOS_SWEEP": 400,
    "CHAOS_SWEEP_KILL": 5,
    "CHAOS_FUZZ": 10_000,
}


def run(variables: dict[str, str], only: list[int]) -> tuple[int, list[dict[str, Any]], str]:
    """Runs the tests; their exit code, the lines they wrote, and the end of what they said."""
    with tempfile.TemporaryDirectory() as directory:
        results = Path(directory) / "results.jsonl"
        wanted = ["-k", " or ".join(f"test_{number}_" for number in only)] if only else []
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *TESTS, "-q", "--tb=short", "-p", "no:cacheprovider", *wanted],
            cwd=ROOT,
            env=os.environ | variables | {"CHAOS_RESULTS": str(results)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        lines = results.read_text(encoding="utf-8").splitlines() if results.exists() else []
    return done.returncode, [json.loads(line) for line in lines], done.stdout


def merged(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One line an item: parts of the same name are added up."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for line in lines:
        known = found.get((line["item"], line["name"]))
        if known is None:
            found[line["item"], line["name"]] = dict(line, parts=1)
            continue
        for key in ("tried", "held", "seconds"):
            known[key] += line[key]
        known["parts"] += 1
    return [found[key] for key in sorted(found, key=lambda key: key[0])]


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="the long form (an hour and more)")
    parser.add_argument("--only", type=int, nargs="+", default=[], metavar="N", help="items, by number")
    parser.add_argument("--verbose", action="store_true", help="print what pytest said even when all held")
    arguments = parser.parse_args()
    variables = {name: os.environ.get(name, str(value)) for name, value in LONG.items()} if arguments.long else {}
    started = time.monotonic()
    code, lines, said = run(variables, arguments.only)
    if code or arguments.verbose:
        print(said)
    table = merged(lines)
    print("| item | what | tried | held | seconds | |")
    print("|---|---|---|---|---|---|")
    for line in table:
        note = line["note"] if line["parts"] == 1 else ""
        print(
            f"| {line['item']} | {line['name']} | {line['tried']} | {line['held']} | {line['seconds']:.1f} | {note} |"
        )
    failed = [line for line in table if line["held"] < line["tried"]]
    print(f"\n{len(table) - len(failed)} of {len(table)} held, {time.monotonic() - started:.0f} s")
    return 1 if code or failed or not table else 0


if __name__ == "__main__":
    sys.exit(main())

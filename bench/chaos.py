"""Everything that was done to break the service, in its long form, and a table of what held: ``python bench/chaos.py``.

The table has a row for each of the items 1 to 20, and grows while they run; an item that nobody tests is a row too, and
does not hold. ``--short`` is the form that runs among all other tests, ``--hour`` soaks for an hour instead of ten
minutes, ``--only`` takes some items, ``--csv FILE`` writes the soak's samples. Single numbers can be changed by their
environment variables (CHAOS_KILL_SERVER and the others below). Exit code 1 when something did not hold.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

# The items, and roughly how long each takes on two quiet cores, in minutes: short and long.
ITEMS: dict[int, tuple[str, float, float]] = {
    1: ("SIGKILL of the server under load", 0.2, 2),
    2: ("SIGKILL of Postgres under load", 0.2, 2),
    3: ("connections cut between commit and response", 0.1, 2),
    4: ("SIGTERM with 200 calls in flight", 0.2, 1),
    5: ("a provider that crashes, hangs or answers garbage", 0.6, 0.6),
    6: ("sweepers killed, stopped, and with a wrong clock", 0.5, 3),
    7: ("overload, an exhausted pool, slow statements", 0.7, 4),
    8: ("durability", 0.3, 1),
    9: ("a soak with a flapping network", 0.4, 11),
    10: ("API keys", 0.3, 1),
    11: ("row-level security", 0.6, 3),
    12: ("the access matrix", 0.3, 1),
    13: ("identifiers", 0.2, 0.5),
    14: ("fuzzed bytes, messages and JSON", 2, 30),
    15: ("canary secrets", 0.4, 0.5),
    16: ("TLS and connections", 0.5, 2),
    17: ("SIGKILL in the middle of an erasure", 1, 25),
    18: ("SIGKILL in the middle of an export or an import", 1, 15),
    19: ("SIGKILL in the middle of updates", 0.3, 8),
    20: ("SIGKILL of whoever works, of five servers", 0.7, 5),
}
LONG = {
    "CHAOS_KILL_SERVER": 20,
    "CHAOS_KILL_POSTGRES": 10,
    "CHAOS_KILL_ERASURE": 20,
    "CHAOS_ERASE_ROUNDS": 1000,
    "CHAOS_UPDATE_ROUNDS": 200,
    "CHAOS_IMPORT_ROUNDS": 200,
    "CHAOS_TRANSFER": 5,
    "CHAOS_SHARED_JOBS": 12,
    "CHAOS_CUT": 1000,
    "CHAOS_SIGTERM": 5,
    "CHAOS_SWEEP": 400,
    "CHAOS_SWEEP_KILL": 5,
    "CHAOS_FUZZ": 10_000,
    "CHAOS_REST_FUZZ": 200,
    "CHAOS_CANARIES": 1,
    "CHAOS_TWINS": 1,
    "CHAOS_SCRIPTS": 1,
    "CHAOS_RLS_PAIRS": 150,
    "CHAOS_SLOW": 1,
    "CHAOS_CANCEL": 20,
    "CHAOS_OVERLOAD_SECONDS": 20,
    "CHAOS_SOAK_SECONDS": 600,
}
# What of the harness takes an item's number.
REPORTERS = {"item", "reported", "reported_each"}
Line = dict[str, Any]


def lines_of(file: Path, done: subprocess.Popen[bytes]) -> Iterator[Line]:
    """What the tests write, as they write it, until they have ended."""
    read = 0
    while True:
        ended = done.poll() is not None
        text = file.read_bytes()[read:] if file.exists() else b""
        whole, newline, _ = text.rpartition(b"\n")
        read += len(whole) + len(newline)
        yield from (json.loads(line) for line in whole.splitlines())
        if ended:
            return
        time.sleep(0.2)


def tests_of(wanted: list[int]) -> list[str]:
    """The tests that report on one of the items, by pytest's names: functions that give its number to the harness."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for function in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            calls = [
                node
                for node in ast.walk(function)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in REPORTERS
            ]
            numbers = {c.args[0].value for c in calls if c.args and isinstance(c.args[0], ast.Constant)}
            if numbers & set(wanted):
                found.append(f"{path.relative_to(ROOT)}::{function.name}")
    return found


def run(variables: dict[str, str], tests: list[str], said: Path) -> tuple[int, list[Line]]:
    """Runs tests, printing each line when it is there; their exit code and the lines."""
    with tempfile.TemporaryDirectory() as directory:
        results = Path(directory) / "results.jsonl"
        path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
        with said.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", "-q", "-s", "--tb=short", "-p", "no:cacheprovider", *tests],
                cwd=ROOT,
                env=os.environ | variables | {"CHAOS_RESULTS": str(results), "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
            lines = []
            try:
                for line in lines_of(results, process):
                    lines.append(line)
                    print(f"{time.strftime('%H:%M:%S')}  {row(line)}", flush=True)
            except BaseException:
                process.terminate()
                process.wait()
                raise
    return process.returncode, lines


def row(line: Line) -> str:
    """A line of the tests as a row of the table."""
    held = "" if line["tried"] and line["held"] == line["tried"] else " **no**"
    return (
        f"| {line['item']} | {line['name']} | {line['tried']} | {line['held']}{held} | {line['seconds']:.1f} | "
        f"{line['note']} |"
    )


def merged(lines: list[Line]) -> list[Line]:
    """One line for each name: parts of the same name are added up."""
    found: dict[tuple[int, str], Line] = {}
    for line in lines:
        known = found.get((line["item"], line["name"]))
        if known is None:
            found[line["item"], line["name"]] = dict(line)
            continue
        for key in ("tried", "held", "seconds"):
            known[key] += line[key]
        known["note"] = ""
    return [found[key] for key in sorted(found)]


def table(lines: list[Line], wanted: list[int]) -> tuple[str, list[int]]:
    """The table, and the items of which something did not hold or nothing was run."""
    rows = ["| item | what | tried | held | seconds | |", "|---|---|---|---|---|---|"]
    failed = []
    for number in wanted:
        own = [line for line in merged(lines) if line["item"] == number]
        rows += [row(line) for line in own] or [f"| {number} | {ITEMS[number][0]} | 0 | not run | | |"]
        if not own or any(not line["tried"] or line["held"] < line["tried"] for line in own):
            failed.append(number)
    return "\n".join(rows), failed


def main() -> int:
    """Runs and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="as the tests run it")
    parser.add_argument("--hour", action="store_true", help="soak for an hour")
    parser.add_argument("--only", type=int, nargs="+", default=[], metavar="N", choices=list(ITEMS), help="items")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="where the soak's samples go")
    parser.add_argument("--verbose", action="store_true", help="print what pytest said even when all held")
    arguments = parser.parse_args()
    numbers = {} if arguments.short else LONG | ({"CHAOS_SOAK_SECONDS": 3600} if arguments.hour else {})
    variables = {name: os.environ.get(name, str(value)) for name, value in numbers.items()}
    if arguments.csv:
        variables["CHAOS_SOAK_CSV"] = str(arguments.csv.absolute())
    wanted = sorted(set(arguments.only)) or list(ITEMS)
    minutes = sum(ITEMS[number][1 if arguments.short else 2] for number in wanted)
    minutes += 50 if arguments.hour and 9 in wanted and not arguments.short else 0
    print(f"About {minutes:.0f} minutes on two quiet cores; lines appear as parts finish.\n", flush=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        said = Path(directory) / "pytest.txt"
        tests = tests_of(wanted)
        code, lines = run(variables, tests, said) if tests else (0, [])
        text, failed = table(lines, wanted)
        if (code or arguments.verbose) and said.exists():
            print(f"\n{said.read_text(encoding='utf-8', errors='replace')}")
    print(f"\n{text}\n")
    held = len(wanted) - len(failed)
    print(f"{held} of {len(wanted)} items held, {time.monotonic() - started:.0f} s")
    if failed:
        print(f"Not: {', '.join(map(str, failed))}")
    return 1 if code or failed else 0


if __name__ == "__main__":
    sys.exit(main())

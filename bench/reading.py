"""`make bench-reading`: what it takes to read a question's dates and names before anything is asked of the database.

The questions with dates are those of tests/data, those of a LoCoMo file (FILE) are what people ask of a memory. Names
are read among the participants of the file, and among 1,000, the most that a tenant's names are looked for. Each
question is read `--repeat` times in turn with all others, by the processor's time of this thread, so that other work on
the machine counts little; a question's figure is the median of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from memory_grpc.commands.evaluating.dataset import read
from memory_grpc.ranking import Participants
from memory_grpc.ranking.dates import find_dates
from memory_grpc.ranking.names import find_mentions

DATA = Path(__file__).parents[1] / "tests" / "data"
BOUND_MS = 0.3
"""What reading the dates of a question may take on average."""
Case = tuple[str, datetime, Participants]


def of_tests(name: str) -> list[Case]:
    """The questions of a file of tests/data."""
    rows = [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text().splitlines()]
    return [(row["question"], datetime.fromisoformat(row["as_of"]), Participants()) for row in rows]


def of_locomo(path: Path) -> list[Case]:
    """The questions of a LoCoMo file, with the names of who speaks in each sample."""
    data = read(path)
    return [
        (question.text, memory.as_of.replace(tzinfo=UTC), Participants(tuple(sorted(memory.names))))
        for question in data.questions
        for memory in [data.memories[question.tenant_id]]
    ]


def dates(case: Case) -> None:
    """Reads the dates."""
    find_dates(case[0], case[1])


def names(case: Case) -> None:
    """Reads the names."""
    find_mentions(case[0], case[2])


def measured(work: Callable[[Case], None], cases: Sequence[Case], repeat: int) -> list[float]:
    """Milliseconds that each question takes, sorted."""
    times: list[list[float]] = [[] for _ in cases]
    for _ in range(repeat):
        for case, own in zip(cases, times, strict=True):
            started = time.thread_time_ns()
            work(case)
            own.append((time.thread_time_ns() - started) / 1e6)
    return sorted(statistics.median(own) for own in times)


def main() -> None:
    """Measures and prints a table; fails where the dates of tests/data take more than they may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("locomo", nargs="?", type=Path, help="a LoCoMo file")
    parser.add_argument("--repeat", type=int, default=50, help="times that each question is read (default: 50)")
    arguments = parser.parse_args()
    kinds = {"44 questions with dates": of_tests("dates"), "their siblings": of_tests("date_siblings")}
    rows = [(f"dates, {name}", dates, cases) for name, cases in kinds.items()]
    if arguments.locomo:
        asked = of_locomo(arguments.locomo)
        crowd = Participants(tuple(f"{'Speaker' if place % 2 else 'Anna van der'} {place}" for place in range(1000)))
        rows += [("dates, LoCoMo", dates, asked), ("names, LoCoMo", names, asked)]
        rows.append(("names, LoCoMo among 1,000", names, [(text, as_of, crowd) for text, as_of, _ in asked]))
    means = {}
    print("| read | questions | mean | median | 99th of 100 | most |\n|---|---|---|---|---|---|")
    for name, work, cases in rows:
        times = measured(work, cases, arguments.repeat)
        means[name] = statistics.mean(times)
        figures = [means[name], statistics.median(times), times[int(0.99 * (len(times) - 1))], times[-1]]
        print(f"| {name} | {len(cases):,} | {' | '.join(f'{figure:.3f} ms' for figure in figures)} |", flush=True)
    slowest = max(mean for name, mean in means.items() if name.startswith("dates"))
    print(f"\nDates: {slowest:.3f} ms a question at most on average, of {BOUND_MS} that they may take.")
    if slowest > BOUND_MS:
        raise SystemExit(1)


if __name__ == "__main__":
    main()

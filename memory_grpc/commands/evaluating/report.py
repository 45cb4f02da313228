"""What an evaluation shows: a bar while it runs, JSON lines, and a table at its end."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, Protocol, Self, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from memory_grpc.commands import output
from memory_grpc.commands.evaluating.dataset import CATEGORIES
from memory_grpc.commands.evaluating.intervals import percent, shown
from memory_grpc.commands.evaluating.metrics import mean
from memory_grpc.commands.evaluating.run import Answer, Variant, in_order

_LINE_EVERY_SECONDS = 10.0
_COLUMNS = {
    "recall_5": "R@5",
    "recall_10": "R@10",
    "recall_25": "R@25",
    "ndcg_10": "NDCG@10",
    "reciprocal_rank": "MRR",
}


class Shown(Protocol):
    """An answer, or a context."""

    @property
    def variant(self) -> Variant: ...

    def as_line(self) -> dict[str, Any]: ...


Answered = TypeVar("Answered", bound=Shown)


class Report(Generic[Answered]):
    """A context manager that takes answers in; ``answers`` holds them all."""

    def __init__(self, total: int, lines: Path | None) -> None:
        self.answers: list[Answered] = []
        self._total = total
        self._path = lines
        self._lines: IO[str] | None = None
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("questions", total=total)

    def __enter__(self) -> Self:
        self._lines = self._path.open("w", buffering=1, encoding="utf-8") if self._path else None
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()
        if self._lines:
            self._lines.close()

    def note(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text)

    def add(self, answer: Answered) -> None:
        """Takes an answer in."""
        self.answers.append(answer)
        if self._lines:
            self._lines.write(json.dumps(answer.as_line(), ensure_ascii=False) + "\n")
        self._bar.update(self._task, completed=len(self.answers), description=answer.variant.label)
        if not self._console.is_terminal and time.monotonic() - self._last_line >= _LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            self.note(f"{len(self.answers):,} of {output.counted(self._total, 'question')} ({answer.variant.label})")


def summary(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """A row for each set, ranking and category, and for all of a ranking (category None).

    Means are in percent, and so is the 95 % interval of R@10.
    """
    rows = []
    for of_set, label in dict.fromkeys((answer.question.set, answer.variant.label) for answer in answers):
        those = in_order([one for one in answers if (one.question.set, one.variant.label) == (of_set, label)])
        for category in (*CATEGORIES, None):
            scores = [one.scores for one in those if category in (None, one.question.category)]
            if scores:
                row = {"set": of_set, "ranking": label, "category": category, "questions": len(scores)}
                means = {name: round(100 * value, 2) for name, value in asdict(mean(scores)).items()}
                rows.append(row | means | {"recall_10_interval": percent([one.recall_10 for one in scores])})
    return rows


def category_name(category: int | None) -> str:
    """As people read it; None is all of them."""
    return "all" if category is None else f"{category} {CATEGORIES[category]}"


def table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    """The rows as people read them."""
    found = Table(title=title, title_justify="left")
    for name in ("set", "ranking", "category"):
        found.add_column(name, no_wrap=True)
    for name in ("questions", *_COLUMNS.values(), "R@10, 95 %"):
        found.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        whole = row["category"] is None
        figures = (f"{row[name]:.1f}" for name in _COLUMNS)
        found.add_row(
            row["set"],
            row["ranking"],
            category_name(row["category"]),
            f"{row['questions']:,}",
            *figures,
            shown(row["recall_10_interval"]),
            style="bold" if whole else None,
            end_section=whole,
        )
    return found

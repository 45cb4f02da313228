"""Two runs of an evaluation, question by question, from their JSON lines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from memory_grpc.commands import output
from memory_grpc.commands.evaluating.dataset import CATEGORIES
from memory_grpc.commands.evaluating.intervals import percent, shown
from memory_grpc.commands.evaluating.report import category_name
from memory_grpc.commands.failure import OK, CommandError

# Of a search, R@10; of a context, the share of the evidence that is in it.
_MEASURES = ("recall_10", "share")
_CHANGES_SHOWN = 10
_Key = tuple[str, str, int, str, int]


@dataclass(frozen=True, slots=True)
class Pair:
    """A question that both runs asked of one ranking (and budget), and what each found of its evidence: 0 to 1."""

    before: dict[str, Any]
    first: float
    second: float

    @property
    def gain(self) -> float:
        """Positive where the second run found more."""
        return self.second - self.first

    def as_row(self) -> dict[str, Any]:
        """For programs and people."""
        kept = ("set", "ranking", "budget", "tenant_id", "number", "category", "question", "evidence")
        found = {"first": round(100 * self.first, 2), "second": round(100 * self.second, 2)}
        return {name: self.before[name] for name in kept if name in self.before} | found


def compare(first: Path, second: Path, *, as_json: bool = False) -> int:
    """Prints how the second run differs from the first; returns the exit code."""
    pairs, alone = paired(_lines(first), _lines(second))
    if not pairs:
        raise CommandError(f"{first} and {second} have no question of one ranking in common.")
    rows, changes = summary(pairs), changed(pairs)
    if as_json:
        output.write_json({"rows": rows, "changed": [pair.as_row() for pair in changes], "in_one_run": alone})
        return OK
    title = f"{first.name} (first) and {second.name} (second): evidence found, percent"
    output.console().print(Group(_table(rows, title), *_shown_changes(changes, alone)))
    return OK


def paired(first: dict[_Key, dict[str, Any]], second: dict[_Key, dict[str, Any]]) -> tuple[list[Pair], int]:
    """The questions of both runs in order, and how many only one of them asked.

    Raises CommandError where a question has other evidence in the one than in the other: it is not the same data.
    """
    pairs = []
    for key in sorted(first.keys() & second.keys()):
        before, after = first[key], second[key]
        if before["evidence"] != after["evidence"]:
            raise CommandError(f"Question {key[2]} of {key[1]} has other evidence in the second run: other data.")
        pairs.append(Pair(before, _measured(before), _measured(after)))
    return pairs, len(first.keys() ^ second.keys())


def summary(pairs: Sequence[Pair]) -> list[dict[str, Any]]:
    """A row for each set, ranking, budget and category, and for all categories (None): means and their difference with
    its 95 % interval, in percent, and how many questions are better and worse in the second run."""
    rows: list[dict[str, Any]] = []
    for group in dict.fromkeys(_group(pair) for pair in pairs):
        those = [pair for pair in pairs if _group(pair) == group]
        for category in (*CATEGORIES, None):
            asked = [pair for pair in those if category in (None, pair.before["category"])]
            if asked:
                gains = [pair.gain for pair in asked]
                rows.append(
                    {
                        "set": group[0],
                        "ranking": group[1],
                        "budget": group[2] or None,
                        "category": category,
                        "questions": len(asked),
                        "first": _mean([pair.first for pair in asked]),
                        "second": _mean([pair.second for pair in asked]),
                        "difference": _mean(gains),
                        "interval": percent(gains),
                        "better": sum(gain > 0 for gain in gains),
                        "worse": sum(gain < 0 for gain in gains),
                    }
                )
    return rows


def changed(pairs: Sequence[Pair]) -> list[Pair]:
    """The questions of which the runs found different shares, the greatest loss first."""
    return sorted((pair for pair in pairs if pair.gain), key=lambda pair: pair.gain)


def _group(pair: Pair) -> tuple[str, str, int]:
    return pair.before.get("set", ""), pair.before["ranking"], pair.before.get("budget", 0)


def _measured(line: dict[str, Any]) -> float:
    return float(next(line[name] for name in _MEASURES if name in line))


def _mean(values: Sequence[float]) -> float:
    return round(100 * sum(values) / len(values), 2)


def _lines(path: Path) -> dict[_Key, dict[str, Any]]:
    found = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            line = json.loads(text)
            key = (line.get("set", ""), line["tenant_id"], line["number"], line["ranking"], line.get("budget", 0))
            _measured(line), line["evidence"], line["category"], line["question"]
        except (ValueError, KeyError, TypeError, AttributeError, StopIteration):
            raise CommandError(f"{path}, line {number}: not a line that `eval --json-lines` wrote.") from None
        found[key] = line
    return found


def _table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    found = Table(title=title, title_justify="left")
    for name in ("set", "ranking", "category"):
        found.add_column(name, no_wrap=True)
    for name in ("questions", "first", "second", "difference", "95 %", "better", "worse"):
        found.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        whole = row["category"] is None
        found.add_row(
            row["set"],
            row["ranking"] if row["budget"] is None else f"{row['ranking']}, {output.counted(row['budget'], 'token')}",
            category_name(row["category"]),
            f"{row['questions']:,}",
            f"{row['first']:.1f}",
            f"{row['second']:.1f}",
            f"{row['difference']:+.1f}",
            shown(row["interval"]),
            f"{row['better']:,}",
            f"{row['worse']:,}",
            style="bold" if whole else None,
            end_section=whole,
        )
    return found


def _shown_changes(changes: Sequence[Pair], alone: int) -> list[Text]:
    """The greatest losses and gains, and what was not compared."""
    losses = [pair for pair in changes if pair.gain < 0][:_CHANGES_SHOWN]
    gains = [pair for pair in reversed(changes) if pair.gain > 0][:_CHANGES_SHOWN]
    lines = []
    for heading, those in (("Greatest losses", losses), ("Greatest gains", gains)):
        if those:
            lines.append(Text(f"\n{heading}:", "bold"))
        for pair in those:
            row = pair.as_row()
            where = f"{row['tenant_id']} {row['number']}, {row['ranking']}"
            lines.append(Text(f"{row['first']:5.1f} → {row['second']:5.1f}  {where}: {row['question']}"))
    if alone:
        lines.append(Text(f"\nIn only one of the runs: {output.counted(alone, 'question')}."))
    return lines

"""What was measured: a table for people, and a plot."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table. ``rounds`` are the values that ``measured`` is the median of."""

    part: int
    name: str
    measured: float
    aim: float
    better: Literal["more", "less"]
    unit: str = ""
    note: str = ""
    rounds: tuple[float, ...] = ()

    @property
    def is_met(self) -> bool:
        """Whether the aim is met."""
        return self.measured >= self.aim if self.better == "more" else self.measured <= self.aim

    @property
    def line(self) -> str:
        """The line of the table."""
        sign = "≥" if self.better == "more" else "≤"
        spread = f" ({min(self.rounds):.2f} to {max(self.rounds):.2f})" if len(self.rounds) > 1 else ""
        aim, measured = f"{sign} {self.aim:g}{self.unit}", f"{_short(self.measured)}{self.unit}{spread}"
        return f"| {self.part} | {self.name} | {aim} | {measured} | {'yes' if self.is_met else 'no'} | {self.note} |"


def ratio(part: int, name: str, aim: float, rounds: Sequence[float], note: str = "") -> Figure:
    """A ratio to the bare model: the median of the rounds."""
    return Figure(part, name, statistics.median(rounds), aim, "more", note=note, rounds=tuple(rounds))


def table(figures: Sequence[Figure]) -> str:
    """All lines, as Markdown."""
    head = ["| | what | aim | measured | met | |", "|---|---|---|---|---|---|"]
    return "\n".join([*head, *(figure.line for figure in figures)])


def plot(figures: Sequence[Figure], title: str, file: Path) -> None:
    """The ratios to the bare rate and their aims, as an SVG without scripts."""
    import pygal  # of the development tools, and needed for nothing else

    shown = [f for f in figures if f.part == 1 and f.aim <= 1]
    chart = pygal.HorizontalBar(
        pygal.Config(js=(), legend_at_bottom=True, height=420, explicit_size=True, range=(0, 1.2)),
        title=title,
        x_title="share of the bare model's batched rate",
        value_formatter=lambda value: f"{value:.2f}",
        print_values=True,
        print_zeroes=False,
        no_prefix=True,
        disable_xml_declaration=True,
    )
    chart.x_labels = [f.name for f in reversed(shown)]
    chart.add("aim", [f.aim for f in reversed(shown)])
    chart.add("measured", [round(f.measured, 3) for f in reversed(shown)])
    file.write_text(chart.render(is_unicode=True) + "\n", encoding="utf-8")


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _short(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"

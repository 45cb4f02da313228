"""What an import shows while it runs: a bar on a terminal, a line now and then elsewhere. Both on standard error."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from memory_grpc.commands import output
from memory_grpc.commands.importing.records import Fault, Record
from memory_grpc.commands.importing.sender import Counts

_LINE_EVERY_SECONDS = 5.0


class Report:
    """A context manager that shows how far ``counts`` have come on the way to ``total``."""

    def __init__(self, name: str, total: int, counts: Counts, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._counts = counts
        self._total = total
        self._started = self._last_line = time.monotonic()
        self._begun_at = self._position = 0
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[messages]:,} messages"),
            TextColumn("{task.fields[rate]:,.0f}/s"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=max(total, 1), messages=0, rate=0.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()

    @property
    def seconds(self) -> float:
        """How long it has been going."""
        return time.monotonic() - self._started

    @property
    def messages(self) -> int:
        """Messages that the server has acknowledged."""
        return self._counts.stored + self._counts.repeated

    @property
    def rate(self) -> float:
        """Messages acknowledged a second."""
        return self.messages / max(self.seconds, 1e-9)

    def begin(self, position: int) -> None:
        """An earlier run came as far as this (in the unit of the total)."""
        self._begun_at = self._position = position
        self._bar.reset(self._task, completed=position)

    def advance(self, amount: int) -> None:
        """So much more of the file is done."""
        self._position += amount
        self._bar.update(self._task, completed=self._position, messages=self.messages, rate=self.rate)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line >= _LINE_EVERY_SECONDS:
            self._last_line = now
            done, left = self._position - self._begun_at, max(0, self._total - self._position)
            eta = f", {self.seconds * left / done:,.0f} s left" if done else ""
            share = self._position / max(self._total, 1)
            self.note(f"{share:.0%}, {output.counted(self.messages, 'message')}, {self.rate:,.0f}/s{eta}")

    def note(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text)

    def bad(self, record: Record, faults: Sequence[Fault]) -> None:
        """Says what is wrong with a record, never what is in it."""
        self.note(said_of(record, faults))


def said_of(record: Record, faults: Sequence[Fault]) -> str:
    """What is wrong with a record, as ``line 3: role: must be one of …``."""
    said = "; ".join(f"{fault.field}: {fault.description}" if fault.field else fault.description for fault in faults)
    return f"{record.label}: {said}"

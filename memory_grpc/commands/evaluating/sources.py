"""The files of an evaluation: which are of which format, and what is in all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memory_grpc.commands.evaluating import jsonl
from memory_grpc.commands.evaluating.dataset import Dataset, Memory, Question, read
from memory_grpc.commands.failure import CommandError


@dataclass(frozen=True, slots=True)
class Source:
    """A file with questions; with ``messages`` both are JSON lines, else it is LoCoMo's format."""

    questions: Path
    messages: Path | None = None

    @property
    def name(self) -> str:
        """What the figures call it."""
        return self.questions.stem


def read_all(sources: Sequence[Source], **how: Any) -> Dataset:
    """All files as one; ``how`` is what the readers of a single file take.

    Raises CommandError for a file that is not as it should be, and where two of them have a tenant in common: what one
    stores would be found by the questions of the other.
    """
    memories: dict[str, Memory] = {}
    questions: list[Question] = []
    dropped = 0
    for source in sources:
        if source.messages is None:
            found = read(source.questions, **how)
        else:
            found = jsonl.read(source.questions, source.messages, **how)
        if shared := memories.keys() & found.memories.keys():
            raise CommandError(f"{source.questions}: {min(shared)} is a tenant of another file, too.")
        memories |= found.memories
        questions += [replace(question, set=source.name) for question in found.questions]
        dropped += found.dropped
    return Dataset(memories, questions, dropped)

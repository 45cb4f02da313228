"""Which messages go into a budget of tokens (docs/context.md). Pure: candidates in, candidates out.

A memory is worth its relevance less a little for every doubling of its length: that finds more of what answers a
question in the same room than relevance alone, and than relevance per token.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

Reason = Literal["pinned", "recent", "relevant", "neighbour"]

LENGTH_COST = 0.08
"""What a memory's relevance loses for each e-folding of its tokens."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that may go in; ``tokens`` None: too long to be counted; ``around``: its neighbours, nearest first."""

    id: UUID
    text: str
    tokens: int | None
    reason: Reason
    relevance: float = 0.0
    around: tuple[Candidate, ...] = ()

    @property
    def worth(self) -> float:
        """By which memories are taken in."""
        return self.relevance - LENGTH_COST * math.log(max(1, self.tokens or 1))


@dataclass(slots=True)
class Filled:
    """What went in, in the order it was taken, and what did not."""

    kept: list[Candidate] = field(default_factory=list)
    too_long: list[Candidate] = field(default_factory=list)
    repeated: list[Candidate] = field(default_factory=list)


def fill(
    leading: Iterable[Candidate], memories: Sequence[Candidate], *, budget: int, leading_budget: int, question: str
) -> Filled:
    """Takes ``leading`` in its order, as far as ``leading_budget`` tokens go, then ``memories`` by their worth, each
    followed by its neighbours, as far as ``budget`` goes. What does not fit is skipped, and a shorter one may follow.

    No message and no text comes twice, and none that is the question. Memories of equal worth keep their order.
    """
    filler = _Filler(question)
    for candidate in leading:
        filler.take(candidate, leading_budget)
    for memory in sorted(memories, key=lambda one: -one.worth):
        if filler.take(memory, budget):
            for neighbour in memory.around:
                filler.take(neighbour, budget)
    return filler.filled


class _Filler:
    def __init__(self, question: str) -> None:
        self._tokens = 0
        self._texts = {question.strip()}
        self._kept: set[UUID] = set()
        self._too_long: dict[UUID, Candidate] = {}
        self._repeated: dict[UUID, Candidate] = {}
        self._order: list[Candidate] = []

    def take(self, candidate: Candidate, budget: int) -> bool:
        """Whether it went in, now or before."""
        if candidate.id in self._kept:
            return True
        text = candidate.text.strip()
        if text in self._texts:
            self._repeated[candidate.id] = candidate
            return False
        if candidate.tokens is None or self._tokens + candidate.tokens > budget:
            self._too_long.setdefault(candidate.id, candidate)
            return False
        self._too_long.pop(candidate.id, None)
        self._texts.add(text)
        self._kept.add(candidate.id)
        self._order.append(candidate)
        self._tokens += candidate.tokens
        return True

    @property
    def filled(self) -> Filled:
        return Filled(self._order, [*self._too_long.values()], [*self._repeated.values()])

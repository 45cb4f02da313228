"""How much of the evidence is in a context, for each ranking and budget of tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from rich.table import Table

from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.evaluating.dataset import CATEGORIES, Dataset, Question
from memory_grpc.commands.evaluating.intervals import percent, shown
from memory_grpc.commands.evaluating.run import Variant, in_order
from memory_layer.v1 import context_pb2


@dataclass(frozen=True, slots=True)
class Context:
    """What a context held: the dia_ids of its messages in the order they were said, and the tokens it has."""

    variant: Variant
    budget: int
    question: Question
    held: tuple[str, ...]
    tokens: int

    @property
    def share(self) -> float:
        """Of the evidence, what is there: 0 to 1."""
        return len(set(self.held) & set(self.question.evidence)) / len(self.question.evidence)

    def as_line(self) -> dict[str, Any]:
        """For programs."""
        return {
            "set": self.question.set,
            "ranking": self.variant.label,
            "budget": self.budget,
            "tenant_id": self.question.tenant_id,
            "number": self.question.number,
            "category": self.question.category,
            "question": self.question.text,
            "evidence": list(self.question.evidence),
            "held": list(self.held),
            "tokens": self.tokens,
            "share": round(self.share, 6),
        }


async def build_all(
    dataset: Dataset,
    variants: Sequence[Variant],
    budgets: Sequence[int],
    caller: Caller,
    in_flight: int,
    built: Callable[[Context], None],
) -> None:
    """Builds a context for every question, ranking and budget, ``in_flight`` at once."""
    wanted = iter([(v, budget, question) for v in variants for budget in budgets for question in dataset.questions])

    async def work() -> None:
        for variant, budget, question in wanted:
            built(await _build(dataset, variant, budget, question, caller))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _build(dataset: Dataset, variant: Variant, budget: int, question: Question, caller: Caller) -> Context:
    request = context_pb2.BuildContextRequest(
        tenant_id=question.tenant_id, query=question.text, max_tokens=budget, ranking=variant.ranking
    )
    request.as_of.FromDatetime(dataset.as_of(question))
    found = await caller.memory("BuildContext", request)
    held = tuple(part.message.metadata.fields["dia_id"].string_value for part in found.messages)
    return Context(variant, budget, question, held, found.total_tokens)


def _group(context: Context) -> tuple[str, str, int]:
    return context.question.set, context.variant.label, context.budget


def summary(contexts: Sequence[Context]) -> list[dict[str, Any]]:
    """A row for each set, ranking and budget: the mean share of the evidence in percent, by category and of all, that
    with its 95 % interval."""
    rows = []
    for of_set, label, budget in dict.fromkeys(_group(one) for one in contexts):
        those = in_order([one for one in contexts if _group(one) == (of_set, label, budget)])
        row: dict[str, Any] = {"set": of_set, "ranking": label, "budget": budget, "questions": len(those)}
        for category in (*CATEGORIES, None):
            shares = [one.share for one in those if category in (None, one.question.category)]
            row["all" if category is None else str(category)] = round(100 * fmean(shares), 2) if shares else None
        row["interval"] = percent([one.share for one in those])
        row["tokens"] = round(fmean(one.tokens for one in those), 1)
        rows.append(row)
    return rows


def table(rows: Sequence[dict[str, Any]], title: str) -> Table:
    """The rows as people read them."""
    found = Table(title=title, title_justify="left")
    for name in ("set", "ranking"):
        found.add_column(name, no_wrap=True)
    for name in ("budget", *(f"{number} {name}" for number, name in CATEGORIES.items()), "all", "95 %", "tokens used"):
        found.add_column(name, justify="right")
    for row in rows:
        shares = ("" if row[key] is None else f"{row[key]:.1f}" for key in (*map(str, CATEGORIES), "all"))
        figures = (*shares, shown(row["interval"]), f"{row['tokens']:,.0f}")
        found.add_row(row["set"], row["ranking"], f"{row['budget']:,}", *figures)
    return found

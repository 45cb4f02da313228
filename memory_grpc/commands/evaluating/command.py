"""The body of ``memory-grpc eval``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory_grpc.commands import client, output
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.evaluating import contexts
from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.evaluating.dataset import Dataset
from memory_grpc.commands.evaluating.loading import load
from memory_grpc.commands.evaluating.report import Report, summary, table
from memory_grpc.commands.evaluating.run import Ask, Variant, ask_all, warn
from memory_grpc.commands.evaluating.sources import Source, read_all
from memory_grpc.commands.failure import INTERRUPTED, OK, complain
from memory_layer.v1 import admin_service_pb2


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What to evaluate. ``limit`` asks only the first so many questions of each file; ``json_lines`` gets one line
    an answer.

    ``without_names`` takes the participants' names out of the questions. ``patience_seconds`` is how long a service
    that is down is waited for, and embeddings while none is made. With ``budgets`` contexts of so many tokens are built
    instead of searches made.
    """

    sources: Sequence[Source]
    variants: Sequence[Variant]
    without_names: bool = False
    json_lines: Path | None = None
    limit: int | None = None
    tenant_prefix: str = ""
    in_flight: int = 4
    patience_seconds: float = 120.0
    budgets: Sequence[int] = ()

    @property
    def name(self) -> str:
        """Of the files, for people."""
        return ", ".join(source.questions.name for source in self.sources)


def evaluate(evaluation: Evaluation, target: Target, *, ask: Ask = ask_all, as_json: bool = False) -> int:
    """Imports what is missing, asks, and prints the figures; returns the exit code."""
    dataset = _read(evaluation)
    report: Report[Any] = Report(
        len(evaluation.variants) * max(1, len(evaluation.budgets)) * len(dataset.questions), evaluation.json_lines
    )
    try:
        asyncio.run(_run(evaluation, dataset, ask, target, report))
    except KeyboardInterrupt:
        complain("Interrupted. What is imported stays.")
        return INTERRUPTED
    rows = contexts.summary(report.answers) if evaluation.budgets else summary(report.answers)
    if as_json:
        output.write_json(rows)
        return OK
    names = ", participants' names removed" if evaluation.without_names else ""
    dropped = f", {dataset.dropped} without evidence left out" if dataset.dropped else ""
    title = f"{evaluation.name}: {output.counted(len(dataset.questions), 'question')}{names}{dropped}; percent"
    shown = contexts.table if evaluation.budgets else table
    output.console().print(shown(rows, title))
    sys.stdout.flush()
    return OK


def _read(evaluation: Evaluation) -> Dataset:
    return read_all(
        evaluation.sources,
        prefix=evaluation.tenant_prefix,
        without_names=evaluation.without_names,
        limit=evaluation.limit,
    )


async def _run(evaluation: Evaluation, dataset: Dataset, ask: Ask, target: Target, report: Report[Any]) -> None:
    async with client.connected_aio(target) as channel:
        # Somebody who forgot the server hears of it at once.
        await Caller(channel, target, complain, patience_seconds=0).admin(
            "GetHealth", admin_service_pb2.GetHealthRequest()
        )
        patience = evaluation.patience_seconds
        memories = list(dataset.memories.values())
        await load(memories, Caller(channel, target, complain, patience), target, evaluation.name, patience)
        await warn(dataset, Caller(channel, target, complain, patience))
        with report:
            caller = Caller(channel, target, report.note, patience)
            in_flight = evaluation.in_flight
            if evaluation.budgets:
                budgets = evaluation.budgets
                await contexts.build_all(dataset, evaluation.variants, budgets, caller, in_flight, report.add)
            else:
                await ask(dataset, evaluation.variants, caller, in_flight, report.add)

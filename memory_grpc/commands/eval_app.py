"""The options of ``memory-grpc eval``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from memory_grpc.commands.options import Address, ApiKey, AsJson, Timeout, target


class Dataset(StrEnum):
    """The formats of evaluation data that are understood."""

    LOCOMO = "locomo"
    JSONL = "jsonl"


class Rankings(StrEnum):
    """What to evaluate."""

    SEMANTIC = "semantic"
    HYBRID = "hybrid"
    BOTH = "both"

    @property
    def names(self) -> tuple[str, ...]:
        """The rankings by their names in requests."""
        return ("semantic", "hybrid") if self is Rankings.BOTH else (self.value,)


File = Annotated[
    Path,
    typer.Argument(exists=True, dir_okay=False, help="The data, as LoCoMo publishes it; or questions, as JSON lines."),
]
Messages = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, metavar="FILE", help="The messages that questions as JSON lines are about."
    ),
]
DatasetName = Annotated[Dataset, typer.Option("--dataset", help="The format of the data.")]
RankingNames = Annotated[Rankings, typer.Option("--ranking", help="Which ranking to evaluate.")]
WithoutNames = Annotated[
    bool, typer.Option("--without-names", help="Take the participants' names out of the questions.")
]
JsonLines = Annotated[Path | None, typer.Option(metavar="FILE", help="Write one JSON line a question to this file.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Ask only the first so many questions.")]
TenantPrefix = Annotated[str, typer.Option(help="Goes before the tenants' names.")]
InFlight = Annotated[int, typer.Option(min=1, max=64, help="Calls at once.")]
Budgets = Annotated[
    list[int] | None,
    typer.Option(
        "--budget", metavar="TOKENS...", min=1, help="Build contexts of so many tokens instead; several may follow."
    ),
]
# `--budget 500 1000`: an option takes one value, what follows comes here.
MoreBudgets = Annotated[list[int] | None, typer.Argument(hidden=True, min=1)]
GiveUpAfter = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="How long a service that is down, or embeds nothing, is waited for."),
]


def budgets(first: list[int] | None, more: list[int] | None) -> list[int]:
    """All budgets, in order."""
    if more and not first:
        raise typer.BadParameter("give one file; numbers follow --budget")
    return [*(first or []), *(more or [])]


def messages_of(dataset: Dataset, messages: Path | None) -> Path | None:
    """The file of messages, for the format that has one."""
    if (dataset is Dataset.JSONL) != (messages is not None):
        raise typer.BadParameter("--dataset jsonl and --messages go together")
    return messages


def evaluate(
    file: File,
    more_budgets: MoreBudgets = None,
    dataset: DatasetName = Dataset.LOCOMO,
    messages: Messages = None,
    ranking: RankingNames = Rankings.BOTH,
    without_names: WithoutNames = False,
    json_lines: JsonLines = None,
    limit: Limit = None,
    budget: Budgets = None,
    tenant_prefix: TenantPrefix = "",
    in_flight: InFlight = 4,
    give_up_after: GiveUpAfter = 120.0,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Measure how much of the evidence for questions a running server finds, through its own gRPC API.

    Imports the conversations that are not there, and asks once all of their messages are embedded. The server should
    run with MEMORY_RETENTION_SCHEDULE_SECONDS=0, so that old conversations stay searchable, and without a rate limit.

    Examples: `memory-grpc eval --dataset locomo locomo10.json --ranking both`; with `--budget 500 1000 2000`, how much
    of the evidence is in contexts of so many tokens; `memory-grpc eval --dataset jsonl questions.jsonl --messages
    messages.jsonl`.
    """
    from memory_grpc.commands.evaluating.command import Evaluation
    from memory_grpc.commands.evaluating.command import evaluate as run
    from memory_grpc.commands.evaluating.run import Variant

    variants = [Variant(name, name) for name in ranking.names]
    evaluation = Evaluation(
        file,
        variants,
        without_names,
        json_lines,
        limit,
        tenant_prefix,
        in_flight,
        give_up_after,
        budgets(budget, more_budgets),
        messages_of(dataset, messages),
    )
    raise typer.Exit(run(evaluation, target(address, api_key, timeout), as_json=as_json))

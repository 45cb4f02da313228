"""The options of ``memory-grpc eval``."""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memory_grpc.commands.options import Address, ApiKey, AsJson, Timeout, target
from memory_grpc.commands.pipes import file_of, readable_file

if TYPE_CHECKING:
    from memory_grpc.commands.evaluating.sources import Source


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


# Strings: `--budget 500 1000` gives an option one value, what follows comes here.
Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE...", help="Data as LoCoMo publishes it, and questions as JSON lines; - for standard input."
    ),
]
Messages = Annotated[
    list[Path] | None,
    typer.Option(
        parser=readable_file,
        metavar="FILE",
        help="The messages that questions as JSON lines are about. Repeat it for each such file, in their order.",
    ),
]
DatasetName = Annotated[
    Dataset | None,
    typer.Option("--dataset", help="The format of all files. [default: by their endings, .jsonl or not]"),
]
RankingNames = Annotated[Rankings, typer.Option("--ranking", help="Which ranking to evaluate.")]
WithoutNames = Annotated[
    bool, typer.Option("--without-names", help="Take the participants' names out of the questions.")
]
JsonLines = Annotated[Path | None, typer.Option(metavar="FILE", help="Write one JSON line per question to this file.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Ask only this many questions of each file, from its start.")]
TenantPrefix = Annotated[str, typer.Option(help="Prefix for the tenants' names.")]
InFlight = Annotated[int, typer.Option(min=1, max=64, help="Calls at once.")]
Budgets = Annotated[
    list[int] | None,
    typer.Option(
        "--budget", metavar="TOKENS...", min=1, help="Build contexts of this many tokens instead; several may follow."
    ),
]
Compare = Annotated[
    tuple[Path, Path] | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        metavar="FIRST SECOND",
        help="Measure nothing; compare the `--json-lines` files of two runs, question by question.",
    ),
]
GiveUpAfter = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="How long to wait for a service that is down or cannot embed."),
]


def sources(
    files: list[str] | None, dataset: Dataset | None, messages: list[Path] | None, budget: list[int] | None
) -> tuple[list[Source], list[int]]:
    """The files with what belongs to each, and all budgets, in order."""
    from memory_grpc.commands.evaluating.sources import Source

    found: list[Source] = []
    budgets = list(budget or [])
    left = list(messages or [])
    for file in files or []:
        path = Path(file)
        if file.isdecimal() and not path.exists():
            if not budget or int(file) < 1:
                raise typer.BadParameter(f"there is no file {file}; numbers follow --budget, and are 1 or more")
            budgets.append(int(file))
        elif not path.is_file():
            raise typer.BadParameter(f"there is no file {file}")
        elif dataset is Dataset.JSONL or (dataset is None and path.suffix == ".jsonl"):
            if not left:
                raise typer.BadParameter(
                    f"{file}: questions as JSON lines need --messages FILE, once for each file of questions"
                    f" ({len(messages or [])} given)"
                )
            found.append(Source(path, left.pop(0)))
        else:
            found.append(Source(path))
    if not found:
        raise typer.BadParameter("name a file with questions")
    if left:
        raise typer.BadParameter(f"--messages {left[0]} belongs to no file of questions as JSON lines")
    return found, budgets


def evaluate(
    files: Files = None,
    dataset: DatasetName = None,
    messages: Messages = None,
    ranking: RankingNames = Rankings.BOTH,
    without_names: WithoutNames = False,
    json_lines: JsonLines = None,
    limit: Limit = None,
    budget: Budgets = None,
    compare: Compare = None,
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

    Examples: `memory-grpc eval locomo10.json --ranking both`; with `--budget 500 1000 2000`, how much of the evidence
    is in contexts of so many tokens; `memory-grpc eval locomo10.json questions.jsonl --messages messages.jsonl`; of
    what `--json-lines` wrote, `memory-grpc eval --compare before.jsonl after.jsonl`.
    """
    from memory_grpc.commands.evaluating.command import Evaluation
    from memory_grpc.commands.evaluating.command import evaluate as run
    from memory_grpc.commands.evaluating.run import Variant

    if [*(files or []), *map(str, messages or [])].count("-") > 1:
        raise typer.BadParameter("standard input (-) is read once")
    if compare:
        from memory_grpc.commands.evaluating.comparing import compare as compare_runs

        raise typer.Exit(compare_runs(*compare, as_json=as_json))
    with ExitStack() as opened:
        variants = [Variant(name, name) for name in ranking.names]
        files = [str(opened.enter_context(file_of(Path(file)))) if file == "-" else file for file in files or []]
        messages = [opened.enter_context(file_of(path)) for path in messages or []]
        data, budgets = sources(files, dataset, messages, budget)
        evaluation = Evaluation(
            data,
            variants,
            without_names,
            json_lines,
            limit,
            tenant_prefix,
            in_flight,
            give_up_after,
            budgets,
        )
        raise typer.Exit(run(evaluation, target(address, api_key, timeout), as_json=as_json))

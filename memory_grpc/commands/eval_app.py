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


class Rankings(StrEnum):
    """What to evaluate."""

    SEMANTIC = "semantic"
    HYBRID = "hybrid"
    BOTH = "both"


def evaluate(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The data, as LoCoMo publishes it.")],
    dataset: Annotated[Dataset, typer.Option(help="The format of the data.")] = Dataset.LOCOMO,
    ranking: Annotated[Rankings, typer.Option(help="Which ranking to evaluate.")] = Rankings.BOTH,
    ablation: Annotated[bool, typer.Option(help="Add cosine alone, and hybrid with one part off at a time.")] = False,
    without_names: Annotated[bool, typer.Option(help="Take the participants' names out of the questions.")] = False,
    json_lines: Annotated[Path | None, typer.Option(help="Write one JSON line a question to this file.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only the first so many questions.")] = None,
    tenant_prefix: Annotated[str, typer.Option(help="Goes before the tenants' names.")] = "",
    in_flight: Annotated[int, typer.Option(min=1, max=64, help="Calls at once.")] = 4,
    give_up_after: Annotated[
        float,
        typer.Option(
            min=0, metavar="SECONDS", help="How long a service that is down, or embeds nothing, is waited for."
        ),
    ] = 120.0,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Measure how much of the evidence for questions a running server finds, through its own gRPC API.

    Imports the conversations that are not there, and asks once all of their messages are embedded. The server should
    run with MEMORY_RETENTION_SCHEDULE_SECONDS=0, so that old conversations stay searchable, and without a rate limit.
    `make eval` starts one that does.

    Example: `memory-grpc eval --dataset locomo locomo10.json --ranking both --ablation`
    """
    from memory_grpc.commands.evaluating.command import Evaluation
    from memory_grpc.commands.evaluating.command import evaluate as run

    rankings = ("semantic", "hybrid") if ranking is Rankings.BOTH else (ranking.value,)
    evaluation = Evaluation(
        file, rankings, ablation, without_names, json_lines, limit, tenant_prefix, in_flight, give_up_after
    )
    raise typer.Exit(run(evaluation, target(address, api_key, timeout), as_json=as_json))

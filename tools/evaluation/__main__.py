"""``python -m tools.evaluation``: as ``memory-grpc eval``, with experiments on the weights besides."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from memory_grpc.commands import eval_app as options
from memory_grpc.commands.evaluating.command import Evaluation, evaluate
from memory_grpc.commands.failure import said_plainly
from memory_grpc.commands.options import EPILOG, Address, ApiKey, AsJson, Timeout, target
from tools.evaluation.asking import ask_weighted
from tools.evaluation.variants import variants

app = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode="markdown")


@app.command(epilog=EPILOG)
def experiment(
    files: options.Files = None,
    dataset: options.DatasetName = None,
    messages: options.Messages = None,
    ranking: options.RankingNames = options.Rankings.BOTH,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Add cosine alone, and hybrid with one part off at a time.")
    ] = False,
    without_names: options.WithoutNames = False,
    json_lines: options.JsonLines = None,
    limit: options.Limit = None,
    budget: options.Budgets = None,
    tenant_prefix: options.TenantPrefix = "",
    in_flight: options.InFlight = 4,
    give_up_after: options.GiveUpAfter = 120.0,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Measure rankings on a running server, also with weights changed through its tenants' policies.

    Without the participants' names, cosine alone is measured too, to compare with. `make eval` starts a server.

    Example: `python -m tools.evaluation locomo10.json --ablation`
    """
    asked = variants(ranking.names, ablation=ablation, cosine=without_names)
    data, budgets = options.sources(files, dataset, messages, budget)
    evaluation = Evaluation(
        data,
        asked,
        without_names,
        json_lines,
        limit,
        tenant_prefix,
        in_flight,
        give_up_after,
        budgets,
    )
    service = target(address, api_key, timeout)
    raise typer.Exit(evaluate(evaluation, service, ask=ask_weighted, as_json=as_json))


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with said_plainly():
        app(prog_name="python -m tools.evaluation")

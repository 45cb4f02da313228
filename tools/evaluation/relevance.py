"""``python -m tools.evaluation.relevance``: how well the relevance of a search tells whether anything answers it.

Every question is asked in its own memory, where something does, and in the next one of its file, where nothing should.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from memory_grpc.commands import client, output
from memory_grpc.commands import eval_app as options
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.evaluating.dataset import Dataset
from memory_grpc.commands.evaluating.loading import load
from memory_grpc.commands.evaluating.sources import read_all
from memory_grpc.commands.failure import CommandError, complain, said_plainly
from memory_grpc.commands.options import Address, ApiKey, target
from memory_layer.v1 import memory_service_pb2 as pb

_PATIENCE_SECONDS = 600.0

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def relevance(
    files: options.Files = None,
    dataset: options.DatasetName = None,
    messages: options.Messages = None,
    without_names: options.WithoutNames = False,
    limit: options.Limit = None,
    at: Annotated[float, typer.Option(help="The min_relevance to look at.")] = 0.45,
    address: Address = None,
    api_key: ApiKey = None,
) -> None:
    """Print the AUC of the hybrid ranking's relevance by file, and what a min_relevance keeps and rejects.

    Example: `python -m tools.evaluation.relevance locomo10.json`
    """
    sources, _ = options.sources(files, dataset, messages, None)
    data = read_all(sources, prefix="", without_names=without_names, limit=limit)
    asked = asyncio.run(_asked(data, target(address, api_key, 30.0)))
    table = Table(title=f"Own questions against those of another memory, {at:g}")
    for name in ("set", "questions", "AUC", "own kept", "foreign rejected"):
        table.add_column(name, justify="left" if name == "set" else "right")
    for name, pairs in sorted(asked.items()):
        own, foreign = zip(*pairs, strict=True)
        kept, rejected = sum(value >= at for value in own), sum(value < at for value in foreign)
        shares = (f"{100 * count / len(pairs):.0f} %" for count in (kept, rejected))
        table.add_row(name, str(len(pairs)), f"{area(own, foreign):.2f}", *shares)
    output.console().print(table)


def area(own: Sequence[float], foreign: Sequence[float]) -> float:
    """The share of all pairs in which the own question's is larger, ties for half: the area under the ROC curve."""
    wins = sum((mine > theirs) + (mine == theirs) / 2 for mine in own for theirs in foreign)
    return wins / (len(own) * len(foreign))


async def _asked(data: Dataset, service: Target) -> dict[str, list[tuple[float, float]]]:
    """By file the relevance of each question's search in its own memory and in the next."""
    tenants = list(data.memories)
    if len(tenants) < 2:
        raise CommandError("One memory alone has no other to ask in.")
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    async with client.connected_aio(service) as channel:
        caller = Caller(channel, service, complain, _PATIENCE_SECONDS)
        await load(list(data.memories.values()), caller, service, "relevance", _PATIENCE_SECONDS)
        for question in data.questions:
            other = tenants[(tenants.index(question.tenant_id) + 1) % len(tenants)]
            values = []
            for tenant_id in (question.tenant_id, other):
                request = pb.SearchMemoriesRequest(tenant_id=tenant_id, query=question.text, top_k=10, ranking="hybrid")
                request.as_of.FromDatetime(
                    data.as_of(question) if tenant_id == question.tenant_id else data.memories[tenant_id].as_of
                )
                values.append((await caller.memory("SearchMemories", request)).relevance)
            found[question.set].append((values[0], values[1]))
    return found


if __name__ == "__main__":
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with said_plainly():
        app(prog_name="python -m tools.evaluation.relevance")

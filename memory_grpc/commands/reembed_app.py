"""The options of ``memory-grpc reembed``; what it does is in ``reembed.py``, imported at need."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memory_grpc.commands.options import Address, ApiKey, AsJson, GiveUpAfter, Timeout, target
from memory_grpc.commands.pipes import readable_file


def reembed(
    tenant: Annotated[
        str | None, typer.Option("--tenant", "-t", metavar="TENANT", help="Only this tenant. [default: every tenant]")
    ] = None,
    back: Annotated[
        bool, typer.Option("--back", help="Change to the settings' current model, not to the next one.")
    ] = False,
    keep_old: Annotated[
        bool, typer.Option("--keep-old", help="Keep the old vectors, so that going back needs little embedding.")
    ] = False,
    sample: Annotated[
        int, typer.Option(min=0, max=500, metavar="N", help="Messages to compare as queries; 0 for none.")
    ] = 50,
    queries: Annotated[
        Path | None,
        typer.Option(
            parser=readable_file,
            metavar="FILE",
            help="Queries to compare instead, one per line; - for standard input.",
        ),
    ] = None,
    details: Annotated[bool, typer.Option("--details", help="Show each query of the comparison.")] = False,
    no_cut_over: Annotated[bool, typer.Option("--no-cut-over", help="Stop before the cut-over.")] = False,
    cut_over: Annotated[bool, typer.Option("--cut-over", help="Cut over the newest change; start nothing.")] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel the newest change before its cut-over.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Show the newest change.")] = False,
    give_up_after: GiveUpAfter = 120.0,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Change the embedding model: embed everything with the next one beside the old vectors, compare, cut over.

    The next model is the servers' MEMORY_EMBEDDING_NEXT_… settings. Searches answer throughout and never mix models.
    The work is the servers': interrupted, it goes on, and the same command follows it again.

    Example: `memory-grpc reembed --tenant acme --no-cut-over`, and when the comparison pleases `memory-grpc reembed
    --cut-over`
    """
    if sum((cut_over, cancel, status, no_cut_over)) > 1:
        raise typer.BadParameter("give one of --no-cut-over, --cut-over, --cancel and --status")
    if queries is not None and tenant is None:
        raise typer.BadParameter("--queries needs --tenant")
    from memory_grpc.commands import reembed as command

    wanted_queries = command.read_queries(queries) if queries else ()
    service = target(address, api_key, timeout)
    if cut_over or cancel or status:
        action = "cut over" if cut_over else "cancel" if cancel else "show"
        raise typer.Exit(command.newest(action, service, give_up_after, as_json=as_json))
    wanted = command.Wanted(
        tenant_id=tenant,
        model="current" if back else "next",
        keep_old=keep_old,
        sample=sample,
        queries=wanted_queries,
        details=details,
        cut_over=not no_cut_over,
    )
    raise typer.Exit(command.change(wanted, service, give_up_after, as_json=as_json))

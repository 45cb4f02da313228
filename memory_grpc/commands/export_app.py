"""``memory-grpc export``: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memory_grpc.commands.options import Address, ApiKey, Filter, GiveUpAfter, Timeout, target


def export(
    tenant: Annotated[str, typer.Option("--tenant", "-t", metavar="TENANT", help="Whose messages to export.")],
    filter_: Filter = None,
    with_embeddings: Annotated[
        bool, typer.Option("--with-embeddings", help="Include the vectors, so that nothing has to be embedded again.")
    ] = False,
    with_policy: Annotated[bool, typer.Option("--with-policy", help="Include the tenant's own policy.")] = False,
    continue_: Annotated[
        Path | None,
        typer.Option(
            "--continue",
            exists=True,
            dir_okay=False,
            writable=True,
            metavar="FILE",
            help="Resume an export that was cut off, at the end of its file.",
        ),
    ] = None,
    give_up_after: GiveUpAfter = 120.0,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
) -> None:
    """Write a tenant's messages, live and archived, to standard output, a line of JSON each: all that belongs to them.

    `memory-grpc import` stores them as they were, with ids, times, importance, pins and archive. How it goes is said on
    standard error. Needs an admin key.

    Example: `memory-grpc export --tenant acme --with-embeddings > acme.jsonl`
    """
    from memory_grpc.commands.transfer import export as command
    from memory_layer.v1.transfer_service_pb2 import ExportRequest

    request = ExportRequest(
        tenant_id=tenant,
        filter=(filter_ or "").strip() or None,
        include_embeddings=with_embeddings,
        include_policy=with_policy,
    )
    raise typer.Exit(command.export(request, continue_, target(address, api_key, timeout), give_up_after))

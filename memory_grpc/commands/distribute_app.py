"""``memory-grpc distribute``: its options; what it does is in ``distribute.py``, imported at need."""

from __future__ import annotations

from typing import Annotated

import typer

from memory_grpc.commands.options import AsJson


def distribute(
    shards: Annotated[
        int, typer.Option(min=1, max=1024, metavar="N", help="Parts that tenants are divided into; fixed for good.")
    ] = 64,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Spread the tenants' tables over the nodes of a Citus cluster, by tenant.

    On the coordinator of MEMORY_DATABASE_URL, while no server runs. All or nothing; run again, it has nothing to do.

    Example: `MEMORY_DATABASE_URL=postgresql://postgres@coordinator/memory memory-grpc distribute --dry-run`
    """
    from memory_grpc.commands import distribute as command

    raise typer.Exit(command.distribute(shards, dry_run=dry_run, as_json=as_json))

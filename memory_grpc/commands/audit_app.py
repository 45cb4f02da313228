"""``memory-grpc audit``: its options; what it does is in ``audit.py``, imported at need."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from memory_grpc.commands.options import Address, ApiKey, AsJson, Timeout, moment, target


def audit(
    tenant: Annotated[str | None, typer.Option("--tenant", "-t", metavar="TENANT", help="Only this tenant's.")] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="ACTOR", help="Only what this actor did, as the table shows it.")
    ] = None,
    action: Annotated[
        str | None, typer.Option(metavar="ACTION", help="Only this action, such as KeyService.CreateApiKey.")
    ] = None,
    after: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="Only what happened then or later, RFC 3339.")
    ] = None,
    before: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="Only what happened before then, RFC 3339.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Most events to show.")] = 100,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Show who did what, the newest first: administration, denials, and when a key was used.

    Needs an admin key; one that does not reach every tenant must name one.

    Example: `memory-grpc audit --tenant acme --action KeyService.CreateApiKey`
    """
    from memory_grpc.commands import audit as command
    from memory_grpc.commands import output
    from memory_layer.v1.audit_service_pb2 import ListEventsRequest

    request = ListEventsRequest(
        tenant_id=tenant,
        actor=actor,
        action=action,
        happened_after=output.timestamp(after),
        happened_before=output.timestamp(before),
    )
    raise typer.Exit(command.run(request, target(address, api_key, timeout), most=limit, as_json=as_json))

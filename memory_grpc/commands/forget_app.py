"""The options of ``memory-grpc forget``; what it does is in ``forget.py``, imported at need."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from memory_grpc.commands.options import Address, ApiKey, AsJson, GiveUpAfter, Tenant, Timeout, target


def forget(
    tenant: Tenant,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="All messages of this end user.")] = None,
    conversation: Annotated[str | None, typer.Option(metavar="ID", help="All messages of this conversation.")] = None,
    filter_: Annotated[
        str | None, typer.Option("--filter", metavar="EXPRESSION", help="Messages that match, archived ones too.")
    ] = None,
    whole_tenant: Annotated[
        bool, typer.Option("--whole-tenant", help="Everything: messages, policy, model, graphs; revokes its own keys.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Only plan, and show what would be erased.")] = False,
    apply: Annotated[UUID | None, typer.Option(metavar="ID", help="Apply a plan, or follow one.")] = None,
    verify: Annotated[UUID | None, typer.Option(metavar="ID", help="Check that nothing of an erasure is left.")] = None,
    receipt: Annotated[UUID | None, typer.Option(metavar="ID", help="Show the receipt of an erasure.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    give_up_after: GiveUpAfter = 120.0,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Erase what a tenant has of a user, of a conversation, or all of it: plan, ask, apply, verify.

    Exactly what was planned is erased; messages that arrive meanwhile stay. The work is the servers': interrupted, it
    goes on, and `--apply ID` follows it. The exit code is 1 when something is found afterwards.

    Example: `memory-grpc forget --tenant acme --user u-7`
    """
    from memory_grpc.commands import forget as command

    chosen = {"user_id": user, "conversation_id": conversation, "filter": filter_, "whole_tenant": whole_tenant or None}
    what = {name: value for name, value in chosen.items() if value is not None}
    known = [one for one in (apply, verify, receipt) if one is not None]
    if len(known) + bool(what) != 1 or len(what) > 1:
        raise typer.BadParameter(
            "give one of --user, --conversation, --filter, --whole-tenant, --apply, --verify and --receipt"
        )
    if plan and not what:
        raise typer.BadParameter("--plan needs --user, --conversation, --filter or --whole-tenant")
    service = target(address, api_key, timeout)
    how = command.How(patience_seconds=give_up_after, ask=not yes, as_json=as_json)
    if verify is not None:
        raise typer.Exit(command.verify(tenant, verify, service, how))
    if receipt is not None:
        raise typer.Exit(command.receipt(tenant, receipt, service, how))
    if apply is not None:
        raise typer.Exit(command.apply(tenant, apply, service, how))
    raise typer.Exit(command.forget(tenant, what, service, how, plan_only=plan))

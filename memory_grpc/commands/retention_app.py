"""``memory-grpc retention``: its commands and their options; what they do is in ``retention.py``, imported at need."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from memory_grpc.commands import options
from memory_grpc.commands.options import EPILOG, Address, ApiKey, AsJson, Tenant, Timeout, moment, target

retention_app = typer.Typer(
    help="Sweeps a tenant by its policy, tries another policy, undoes a sweep.", no_args_is_help=True
)


@retention_app.command("run", epilog=EPILOG)
def run(
    tenant: Tenant,
    dry_run: options.DryRun = False,
    action: options.Actions = None,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Archive and delete a tenant's messages by its policy, now.

    Example: `memory-grpc retention run --tenant acme --dry-run --action archive`
    """
    from memory_grpc.commands import retention

    actions = [one.value for one in action or options.Action]
    service = target(address, api_key, timeout)
    raise typer.Exit(retention.run(tenant, actions, service, dry_run=dry_run, as_json=as_json))


@retention_app.command("simulate", epilog=EPILOG)
def simulate(
    tenant: Tenant,
    max_age_days: Annotated[float | None, typer.Option(help="Archive messages older than this.")] = None,
    importance_threshold: Annotated[float | None, typer.Option(help="Archive less important messages.")] = None,
    delete_after_days: Annotated[float | None, typer.Option(help="Delete after this long in the archive.")] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="TIME", help="When the sweep would be, RFC 3339. [default: now]"),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(metavar="N", help="How many messages of each kind to show. [default: 5]")
    ] = None,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Show what a sweep would archive and delete by a policy that is not set; change nothing.

    Limits that are not given are the tenant's.

    Example: `memory-grpc retention simulate --tenant acme --max-age-days 365 --importance-threshold 0`
    """
    from memory_grpc.commands import retention

    given = {
        "max_age_days": max_age_days,
        "importance_threshold": importance_threshold,
        "delete_after_days": delete_after_days,
    }
    limits = {name: value for name, value in given.items() if value is not None}
    service = target(address, api_key, timeout)
    raise typer.Exit(retention.simulate(tenant, limits, as_of, sample, service, as_json=as_json))


@retention_app.command("restore", epilog=EPILOG)
def restore(
    tenant: Tenant,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="Messages of this end user.")] = None,
    conversation: Annotated[str | None, typer.Option(metavar="ID", help="Messages of this conversation.")] = None,
    filter_: Annotated[
        str | None,
        typer.Option("--filter", metavar="EXPRESSION", help="Messages that match; `archived = true` matches all."),
    ] = None,
    archived_since: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="Messages archived then or later.")
    ] = None,
    dry_run: options.DryRun = False,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Take messages back from the archive: those for which all holds that is given.

    Says how many the next sweep would archive again. What is live already stays as it is: to go on after an
    interruption, run it again.

    Example: `memory-grpc retention restore --tenant acme --archived-since 2026-11-14T20:00:00Z`
    """
    from memory_grpc.commands import retention

    given = {
        "user_id": user,
        "conversation_id": conversation,
        "filter": filter_,
        "archived_since": archived_since,
    }
    what = {name: value for name, value in given.items() if value is not None}
    if not what:
        raise typer.BadParameter("give at least one of --user, --conversation, --filter and --archived-since")
    service = target(address, api_key, timeout)
    raise typer.Exit(retention.restore(tenant, what, service, dry_run=dry_run, as_json=as_json))

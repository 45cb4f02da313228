"""``memory-grpc list``, ``conversations`` and ``users``: the options; what they do is in ``listing.py``, imported at
need."""

from __future__ import annotations

from typing import Annotated

import typer

from memory_grpc.commands import options
from memory_grpc.commands.options import Address, ApiKey, AsJson, Timeout, target

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="Most entries to show.")]
All = Annotated[bool, typer.Option("--all", help="Show them all, page by page.")]
ListedTenant = Annotated[str, typer.Option("--tenant", "-t", metavar="TENANT", help="Whose memory to list.")]


def list_messages(
    tenant: ListedTenant,
    user: options.User = None,
    conversation: options.Conversation = None,
    role: options.OnlyRole = None,
    created_after: options.CreatedAfter = None,
    created_before: options.CreatedBefore = None,
    metadata: options.Metadata = None,
    filter_: options.Filter = None,
    importance_min: options.ImportanceMin = None,
    include_archived: Annotated[bool, typer.Option("--include-archived", help="List archived messages too.")] = False,
    newest: Annotated[bool, typer.Option("--newest", help="Newest first. [default: oldest first]")] = False,
    as_of: options.AsOf = None,
    total: Annotated[bool, typer.Option("--total", help="Say how many match in total; counts them all.")] = False,
    limit: Limit = 50,
    everything: All = False,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """List a tenant's messages in the order of their times.

    Example: `memory-grpc list --tenant acme --user user-456 --newest --limit 20`
    """
    from memory_grpc.commands import listing

    wanted = listing.Messages(
        tenant_id=tenant,
        user_id=user,
        conversation_id=conversation,
        role=role,
        created_after=created_after,
        created_before=created_before,
        metadata_equals=tuple(metadata or ()),
        filter=filter_,
        importance_min=importance_min,
        include_archived=include_archived,
        newest_first=newest,
        as_of=as_of,
        include_total=total,
    )
    most = None if everything else limit
    raise typer.Exit(listing.messages(wanted, most, target(address, api_key, timeout), as_json=as_json))


def list_conversations(
    tenant: ListedTenant,
    limit: Limit = 50,
    everything: All = False,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """List a tenant's conversations: first and last message, how many, and whose.

    Example: `memory-grpc conversations --tenant acme`
    """
    from memory_grpc.commands import listing

    most = None if everything else limit
    raise typer.Exit(listing.conversations(tenant, most, target(address, api_key, timeout), as_json=as_json))


def list_users(
    tenant: ListedTenant,
    limit: Limit = 50,
    everything: All = False,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """List a tenant's end users: first and last message, and how many.

    Example: `memory-grpc users --tenant acme --all --json`
    """
    from memory_grpc.commands import listing

    most = None if everything else limit
    raise typer.Exit(listing.users(tenant, most, target(address, api_key, timeout), as_json=as_json))

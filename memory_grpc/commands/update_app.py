"""``memory-grpc get``, ``update`` and ``revisions``: the options; what they do is in ``update.py``, imported at
need."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from memory_grpc.commands.options import Address, ApiKey, AsJson, AsOf, Timeout, moment, target

_CLEARABLE = ("metadata", "name", "user_id", "importance_override", "pinned", "expires_at")

MessageId = Annotated[UUID, typer.Argument(metavar="ID", help="The message's id.")]
OfTenant = Annotated[str, typer.Option("--tenant", "-t", metavar="TENANT", help="The tenant that it belongs to.")]


def _object(value: str) -> dict[str, Any]:
    try:
        read = json.loads(value)
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise typer.BadParameter("give a JSON object")
    return read


def get(
    message_id: MessageId,
    tenant: Annotated[
        str | None, typer.Option("--tenant", "-t", metavar="TENANT", help="Only if it belongs to this tenant.")
    ] = None,
    as_of: AsOf = None,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Show a message, archived ones included, now or as it was.

    Example: `memory-grpc get 550e8400-e29b-41d4-a716-446655440000`
    """
    from memory_grpc.commands import update

    raise typer.Exit(update.get(message_id, tenant, as_of, target(address, api_key, timeout), as_json=as_json))


def update(
    message_id: MessageId,
    tenant: OfTenant,
    content: Annotated[str | None, typer.Option(metavar="TEXT", help="The new text.")] = None,
    metadata: Annotated[
        dict[str, Any] | None,
        typer.Option(parser=_object, metavar="JSON", help="The new metadata, which replaces all of the old."),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The speaker's name.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="The end user it belongs to.")] = None,
    importance: Annotated[
        float | None, typer.Option("--importance", metavar="0..1", help="How important you say it is.")
    ] = None,
    pinned: Annotated[bool | None, typer.Option("--pin/--unpin", help="Whether it is never archived.")] = None,
    expires_at: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="TIME", help="When it expires; nothing shows it after that. RFC 3339."),
    ] = None,
    clear: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help=f"Clear a field: {', '.join(_CLEARABLE)}; may repeat.")
    ] = None,
    etag: Annotated[str | None, typer.Option(metavar="ETAG", help="Only if the message still has this etag.")] = None,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Change what a message says. What it said stays to be seen with `revisions`, and by searches with --as-of.

    Example: `memory-grpc update 550e8400-e29b-41d4-a716-446655440000 --tenant acme --content "I moved to Graz"`
    """
    if unknown := [field for field in clear or () if field not in _CLEARABLE]:
        raise typer.BadParameter(f"{unknown[0]} cannot be cleared", param_hint="--clear")
    from memory_grpc.commands import update

    changes: dict[str, Any] = {
        "content": content,
        "metadata": metadata,
        "name": name,
        "user_id": user,
        "importance_override": importance,
        "pinned": pinned,
        "expires_at": expires_at,
    }
    given = {field: value for field, value in changes.items() if value is not None}
    if twice := given.keys() & set(clear or ()):
        raise typer.BadParameter(f"{min(twice)} is given and cleared", param_hint="--clear")
    if not given and not clear:
        raise typer.BadParameter("say what to change")
    wanted = update.Change(message_id, tenant, given, tuple(clear or ()), etag)
    raise typer.Exit(update.update(wanted, target(address, api_key, timeout), as_json=as_json))


def revisions(
    message_id: MessageId,
    tenant: OfTenant,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Show what a message said before its updates, the last one first.

    Example: `memory-grpc revisions 550e8400-e29b-41d4-a716-446655440000 --tenant acme`
    """
    from memory_grpc.commands import update

    raise typer.Exit(update.revisions(message_id, tenant, target(address, api_key, timeout), as_json=as_json))

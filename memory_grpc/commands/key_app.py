"""``memory-grpc key``: its commands and their options; what they do is in ``keys.py``, imported at need."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from memory_grpc.commands.options import EPILOG, Address, ApiKey, AsJson, Timeout, moment, target

key_app = typer.Typer(
    help="Makes, lists and revokes API keys. Needs an admin key for all tenants.", no_args_is_help=True
)


class KeyRole(StrEnum):
    """What a key may do."""

    READER = "reader"
    WRITER = "writer"
    ADMIN = "admin"


@key_app.command("create", epilog=EPILOG)
def key_create(
    role: Annotated[
        KeyRole,
        typer.Option(help="reader: get and search. writer: also store, update, delete. admin: everything."),
    ],
    label: Annotated[str, typer.Option(metavar="TEXT", help="What the key is for; shown in lists.")],
    tenant: Annotated[
        list[str] | None,
        typer.Option("--tenant", "-t", metavar="TENANT", help="A tenant that the key may use; may be repeated."),
    ] = None,
    all_tenants: Annotated[bool, typer.Option("--all-tenants", help="The key may use every tenant.")] = False,
    expires_at: Annotated[
        datetime | None,
        typer.Option(parser=moment, metavar="TIME", help="When the key expires, RFC 3339. [default: never]"),
    ] = None,
    rate_limit: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="Calls per minute that the key may make. [default: no limit of its own]",
            show_default=False,
        ),
    ] = 0,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once: the service keeps a digest only.

    From the first key on every call needs one. Without MEMORY_API_KEYS that first key must be an admin key for all
    tenants, so that you can make the others.

    Example: `memory-grpc key create --role writer --tenant acme --label "support bot"`
    """
    if bool(tenant) == all_tenants:
        raise typer.BadParameter("give --tenant, once or more, or --all-tenants")
    from memory_grpc.commands import keys

    new = keys.NewKey(
        label=label, role=role.value, tenants=tuple(tenant or ()), expires_at=expires_at, rate_limit=rate_limit
    )
    raise typer.Exit(keys.create(new, target(address, api_key, timeout), as_json=as_json))


@key_app.command("list", epilog=EPILOG)
def key_list(
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """List the keys that were made, revoked and expired ones included; never the keys themselves.

    Those of MEMORY_API_KEYS are not in it.

    Example: `memory-grpc key list --json`
    """
    from memory_grpc.commands import keys

    raise typer.Exit(keys.list_(target(address, api_key, timeout), as_json=as_json))


@key_app.command("revoke", epilog=EPILOG)
def key_revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `key list` shows it; not the key.")],
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Revoke a key for good, on every server within 5 seconds. Revoking it again changes nothing.

    Example: `memory-grpc key revoke 1b4e28ba-2fa1-4d3b-a3f5-ef19b5a7633b`
    """
    from memory_grpc.commands import keys

    raise typer.Exit(keys.revoke(key_id, target(address, api_key, timeout), as_json=as_json))

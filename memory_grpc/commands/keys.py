"""``memory-grpc key``: makes, lists and revokes API keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from memory_grpc.access import MARK
from memory_grpc.commands import output
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK, USAGE, CommandError
from memory_layer.v1 import api_key_pb2 as pb
from memory_layer.v1 import key_service_pb2

if TYPE_CHECKING:
    from rich.table import Table

_PAGE = 1000
_LONGEST_LABEL = 40


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to make; no tenants mean all of them, which the caller has asked for in so many words."""

    label: str
    role: str
    tenants: tuple[str, ...]
    expires_at: datetime | None
    rate_limit: int = 0
    """Calls a minute; 0 for no limit of its own."""


def create(new: NewKey, target: Target, *, as_json: bool) -> int:
    """Makes a key and prints it."""
    request = key_service_pb2.CreateApiKeyRequest(
        label=new.label,
        role=new.role,
        tenant_ids=new.tenants,
        all_tenants=not new.tenants,
        expires_at=output.timestamp(new.expires_at),
        rate_limit=new.rate_limit,
    )
    with client(target) as service:
        made = service.key("CreateApiKey", request)
    if as_json:
        output.write_json(output.as_dict(made))
        return OK
    print(made.key)
    output.console(stderr=True).print(
        output.pairs(
            "Keep the key above: it is not shown again.",
            [
                ("id", made.api_key.id),
                ("label", output.shortened(made.api_key.label, _LONGEST_LABEL)),
                ("role", made.api_key.role),
                ("tenants", _tenants(made.api_key)),
                ("calls a minute", _limit(made.api_key)),
                ("expires", output.moment(made.api_key.expires_at) or "never"),
            ],
        )
    )
    return OK


def list_(target: Target, *, as_json: bool) -> int:
    """Prints all keys, page by page from the service."""
    found: list[pb.ApiKey] = []
    token = ""
    with client(target) as service:
        while True:
            page = service.key("ListApiKeys", key_service_pb2.ListApiKeysRequest(page_size=_PAGE, page_token=token))
            found += page.api_keys
            token = page.next_page_token
            if not token:
                break
    if as_json:
        output.write_json({"api_keys": [output.as_dict(key) for key in found]})
    elif found:
        output.console().print(_table(found))
    else:
        print("No key was made.")
    return OK


def revoke(key_id: str, target: Target, *, as_json: bool) -> int:
    """Revokes a key by its id."""
    if key_id.startswith(MARK):
        raise CommandError("Give the key's id, as `memory-grpc key list` shows it, and not the key itself.", USAGE)
    with client(target) as service:
        key = service.key("RevokeApiKey", key_service_pb2.RevokeApiKeyRequest(key_id=key_id))
    if as_json:
        output.write_json(output.as_dict(key))
    else:
        print(f"{key.id}: revoked at {output.moment(key.revoked_at)}.")
    return OK


def _table(keys: list[pb.ApiKey]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in ("id", "key", "label", "role", "tenants", "calls a minute", "made", "expires", "revoked"):
        table.add_column(name, no_wrap=name in ("id", "key"))
    for key in keys:
        cells = (
            key.id,
            f"{MARK}{key.prefix}_…",
            output.shortened(key.label, _LONGEST_LABEL),
            key.role,
            _tenants(key),
            _limit(key),
            output.moment(key.created_at),
            output.moment(key.expires_at) or "never",
            output.moment(key.revoked_at),
        )
        table.add_row(*map(Text, cells))
    return table


def _tenants(key: pb.ApiKey) -> str:
    return "all" if key.all_tenants else ", ".join(output.shortened(tenant, 64) for tenant in key.tenant_ids)


def _limit(key: pb.ApiKey) -> str:
    return str(key.rate_limit) if key.rate_limit else "any"

"""``memory-grpc stats``: its options; what it does is in ``statistics.py``, imported at need."""

from __future__ import annotations

import typer

from memory_grpc.commands.options import Address, ApiKey, AsJson, Tenant, Timeout, target


def stats(
    tenant: Tenant,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Show what is stored of a tenant. Needs an admin key.

    Example: `memory-grpc stats --tenant acme`
    """
    from memory_grpc.commands import statistics

    raise typer.Exit(statistics.statistics(tenant, target(address, api_key, timeout), as_json=as_json))

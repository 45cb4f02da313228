"""The options of ``memory-grpc delete``; what it does is in ``delete.py``, imported at need."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from memory_grpc.commands.options import Address, ApiKey, AsJson, Tenant, Timeout, target


def delete(
    message_ids: Annotated[list[UUID], typer.Argument(metavar="ID…", help="The messages.")],
    tenant: Tenant,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Erase messages at once and for good. `memory-grpc forget` erases many, and proves it.

    An id that is not there, or not any more, is named, and the exit code is 1.

    Example: `memory-grpc delete --tenant acme 550e8400-e29b-41d4-a716-446655440000`
    """
    from memory_grpc.commands import delete as command

    raise typer.Exit(command.delete(tenant, message_ids, target(address, api_key, timeout), as_json=as_json))

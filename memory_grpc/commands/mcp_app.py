"""The options of ``memory-grpc mcp``; the server is in ``memory_grpc/mcp``, imported at need."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from memory_grpc.addresses import is_host, unbracketed
from memory_grpc.commands.options import Address, Timeout, target


class Transport(StrEnum):
    """How MCP clients reach it."""

    STDIO = "stdio"
    HTTP = "http"


Tenant = Annotated[str, typer.Option("--tenant", "-t", metavar="TENANT", help="Whose memory: the tenant.")]
User = Annotated[str, typer.Option("--user", metavar="ID", help="Whose memory: the end user.")]
Conversation = Annotated[
    str, typer.Option(metavar="ID", help="Conversation for memories for which the model names none.")
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="MEMORY_CLIENT_API_KEY", metavar="KEY", help="Sent as x-api-key; keys of MEMORY_API_KEYS are never used."
    ),
]
ApiKeyFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, metavar="FILE", help="File with the key, instead of --api-key."),
]


def _host(text: str) -> str:
    if not is_host(host := unbracketed(text)):
        raise typer.BadParameter("neither an IP address nor a host name")
    return host


Host = Annotated[str, typer.Option(metavar="ADDRESS", callback=_host, help="For http: the address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="For http: the port to listen on; 0 takes a free one.")]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="For http: another name by which clients reach it; may be repeated."),
]
AllowUnauthenticated = Annotated[
    bool,
    typer.Option("--allow-unauthenticated", help="For http: serve callers without a key, using this server's key."),
]


def mcp(
    tenant: Tenant,
    user: User,
    conversation: Conversation = "mcp",
    transport: Annotated[Transport, typer.Option(help="How clients reach it.")] = Transport.STDIO,
    host: Host = "127.0.0.1",
    port: Port = 8765,
    allow_host: AllowHost = None,
    allow_unauthenticated: AllowUnauthenticated = False,
    address: Address = None,
    api_key: ApiKey = None,
    api_key_file: ApiKeyFile = None,
    timeout: Timeout = 30.0,
) -> None:
    """Serve the memory of one user as tools of the Model Context Protocol (MCP), for assistants and editors.

    Over http, callers send their own key, as `x-api-key` or as a bearer token; --api-key is for those without one, and
    only with --allow-unauthenticated. It also signs plans to forget, which then outlive a caller's token.

    Example: `memory-grpc mcp --tenant acme --user ann`
    """
    from memory_grpc.commands import mcp as command

    service = command.with_key_of(api_key_file, target(address, api_key, timeout, with_deployments_key=False))
    if transport is Transport.STDIO:
        raise typer.Exit(command.stdio(tenant, user, conversation, service))
    raise typer.Exit(
        command.streamable_http(
            tenant,
            user,
            conversation,
            service,
            host=host,
            port=port,
            allowed_hosts=tuple(allow_host or ()),
            allow_unauthenticated=allow_unauthenticated,
        )
    )

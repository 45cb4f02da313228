"""Runs the MCP server in either transport, until its client goes or a signal comes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from memory_grpc.addresses import is_loopback
from memory_grpc.client import MemoryServiceError
from memory_grpc.commands.client import connection_arguments, failure
from memory_grpc.commands.configuration import Target
from memory_grpc.mcp import http, logs
from memory_grpc.mcp.callers import Caller, Callers, KeyedClient
from memory_grpc.mcp.server import MemoryServer
from memory_grpc.mcp.user_memory import Scope


@dataclass(frozen=True, slots=True)
class Listening:
    """Where HTTP is served, by which names it is reached, and whether callers without a key have this server's."""

    host: str
    port: int
    allowed_hosts: Sequence[str]
    allow_unauthenticated: bool


def stdio(scope: Scope, target: Target) -> None:
    """Serves the process that started this one, with the target's key."""
    # Nothing is to be put in order, and Python's own handler would wait for the next line of standard input.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    logs.configure()
    asyncio.run(_stdio(scope, target))


def streamable_http(scope: Scope, target: Target, where: Listening) -> None:
    """Serves HTTP. Raises CommandError when it cannot, or must not."""
    logs.configure()
    asyncio.run(_streamable_http(scope, target, where))


async def _stdio(scope: Scope, target: Target) -> None:
    async with KeyedClient(**connection_arguments(target)) as client:
        await MemoryServer(scope, Callers(client, target.api_key)).run_stdio_async()


async def _streamable_http(scope: Scope, target: Target, where: Listening) -> None:
    async with KeyedClient(**connection_arguments(target, with_others_keys=True)) as client:
        if not where.allow_unauthenticated and not is_loopback(where.host):
            try:
                await http.check_closed(client.of(Caller()), scope.tenant_id)
            except MemoryServiceError as error:
                raise failure(error, target.address) from None
        callers = Callers(client, target.api_key, by_header=True, lent=where.allow_unauthenticated)
        await http.serve(MemoryServer(scope, callers), where.host, where.port, where.allowed_hosts)

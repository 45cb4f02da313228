"""``memory-grpc mcp``: what its options say, to the server, which is in the extra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from memory_grpc.commands.configuration import Target
from memory_grpc.commands.extras import needed
from memory_grpc.commands.failure import OK, USAGE, CommandError


def with_key_of(file: Path | None, target: Target) -> Target:
    """The target, with the key that stands in a file, if there is one."""
    if file is None:
        return target
    key = file.read_text(encoding="utf-8", errors="replace").strip()
    if not (key and key.isascii() and key.isprintable()):
        raise CommandError(f"--api-key-file: {file} is to hold a key, on one line.", USAGE)
    return replace(target, api_key=key)


def stdio(tenant_id: str, user_id: str, conversation_id: str, target: Target) -> int:
    """Serves standard input and output."""
    with needed("mcp", "The MCP server needs an extra"):
        from memory_grpc.mcp import run
        from memory_grpc.mcp.user_memory import Scope

        run.stdio(Scope(tenant_id, user_id, conversation_id), target)
    return OK


def streamable_http(
    tenant_id: str,
    user_id: str,
    conversation_id: str,
    target: Target,
    *,
    host: str,
    port: int,
    allowed_hosts: Sequence[str],
    allow_unauthenticated: bool,
) -> int:
    """Serves HTTP."""
    with needed("mcp", "The MCP server needs an extra"):
        from memory_grpc.mcp import run
        from memory_grpc.mcp.user_memory import Scope

        where = run.Listening(host, port, allowed_hosts, allow_unauthenticated)
        run.streamable_http(Scope(tenant_id, user_id, conversation_id), target, where)
    return OK

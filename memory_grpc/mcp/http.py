"""The streamable HTTP transport: stateless, on one path, for the hosts that it is told of."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator, Sequence

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings

from memory_grpc.addresses import bracketed, is_loopback
from memory_grpc.client import AsyncMemoryClient, Unauthenticated
from memory_grpc.commands.failure import USAGE, CommandError
from memory_grpc.mcp.connections import BoundedBodies, Connection, WithoutStreams
from memory_grpc.mcp.echo import WithoutEcho
from memory_grpc.mcp.server import MemoryServer

PATH = "/mcp"
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - not bound here
_EVERYBODY = {"*", "0.0.0.0/0", "::/0"}
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def security(host: str, allowed: Sequence[str]) -> TransportSecuritySettings:
    """Which ``Host`` and ``Origin`` a request may name: a page that had its name rebound to this address names another.

    Raises CommandError when nobody could call.
    """
    if is_loopback(host):
        hosts = [*_LOCAL_HOSTS, *allowed]
    elif host in _WILDCARDS:
        if not allowed:
            raise CommandError("--allow-host: say by which names clients reach a server on every address.", USAGE)
        hosts = list(allowed)
    else:
        hosts = [bracketed(host), *allowed]
    named = [name for host in hosts for name in (host, f"{host}:*")]
    origins = [f"{scheme}://{name}" for name in named for scheme in ("http", "https")]
    return TransportSecuritySettings(enable_dns_rebinding_protection=True, allowed_hosts=named, allowed_origins=origins)


async def check_closed(client: AsyncMemoryClient, tenant_id: str) -> None:
    """Returns when the service refuses callers without a key. Raises CommandError when it would serve them, and
    MemoryServiceError when it does not answer."""
    try:
        async for _ in client.list_users(tenant_id=tenant_id, page_size=1).pages():
            break
    except Unauthenticated:
        return
    raise CommandError(
        "The memory service asks for no API key, so anyone who reaches this address could read and change the memory. "
        "Make a key first, or accept it with --allow-unauthenticated."
    )


def configuration(server: MemoryServer, host: str, allowed: Sequence[str]) -> uvicorn.Config:
    """How uvicorn serves it. Raises CommandError when callers could choose their addresses, or nobody could call."""
    trusted = {text.strip() for text in os.environ.get("FORWARDED_ALLOW_IPS", "").split(",")}
    if trusted & _EVERYBODY:
        raise CommandError(
            "FORWARDED_ALLOW_IPS: name the proxies. If everybody is one, callers choose their address.", USAGE
        )
    app = server.streamable_http_app(
        streamable_http_path=PATH,
        json_response=True,
        stateless_http=True,
        transport_security=security(host, allowed),
        host=host,
    )
    # Else /mcp/ is sent on to whatever host the request names, before anybody looks at that.
    app.router.redirect_slashes = False
    return uvicorn.Config(
        WithoutStreams(BoundedBodies(WithoutEcho(app))),
        http=Connection,
        log_config=None,
        log_level="error",
        access_log=False,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=5,
    )


async def serve(server: MemoryServer, host: str, port: int, allowed: Sequence[str]) -> None:
    """Serves until SIGINT or SIGTERM. Says where, on standard output."""
    config = configuration(server, host, allowed)
    with _listening(host, port) as listener:
        own = _Server(config)
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, own.stop)
        print(f"MCP at http://{bracketed(host)}:{listener.getsockname()[1]}{PATH}", flush=True)
        await own.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Leaves signals to whoever runs it: uvicorn would raise them again afterwards, and the exit code would tell."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """Ends it when the calls under way are answered; the second time, at once."""
        self.force_exit = self.should_exit
        self.should_exit = True


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise CommandError(f"{bracketed(host)}:{port}: {error.strerror or type(error).__name__}.") from None
    with listener:
        yield listener

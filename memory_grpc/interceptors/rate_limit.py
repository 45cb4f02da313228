"""MEMORY_GLOBAL_RATE_LIMIT: calls per client IP, counted in this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from urllib.parse import unquote

from limits import parse_many
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter

from memory_grpc.errors import RateLimited, StartupError
from memory_grpc.interceptors.call import Call

_EXPIRY_SECONDS = 5.0
_PROBES = "probes"


class RateLimit:
    """A moving window per client IP, by the ``limits`` library; several limits (``10/second;200/minute``) all hold."""

    def __init__(self, notation: str, trusted_proxies: Sequence[str]) -> None:
        try:
            self._limits = parse_many(notation) if notation.strip() else []
        except ValueError as error:
            raise StartupError("MEMORY_GLOBAL_RATE_LIMIT is not a limit like 200/minute.") from error
        try:
            self._trusted = [ip_network(network) for network in trusted_proxies]
        except ValueError as error:
            raise StartupError("MEMORY_TRUSTED_PROXIES holds something that is not a network.") from error
        self._storage = MemoryStorage()
        self._rest: asyncio.Task[None] | None = None
        self._limiter = MovingWindowRateLimiter(self._storage)

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Notes the client's address; raises RateLimited, which says when it may come back.

        Health and probes are counted apart, so that a client that is over its limit still hears how the server is; not
        those of a trusted proxy itself, which asks for everybody. Reflection tells whether a key holds, and counts as
        any other call.
        """
        forwarded_for = call.metadata.get("x-forwarded-for", "")
        call.client = self.client_ip(call.context.peer(), forwarded_for)
        if not call.is_probe or call.is_reflection:
            await self._count(call.client)
        elif forwarded_for or not self._is_trusted(call.client):
            await self._count(call.client, _PROBES)
        yield

    async def _count(self, *names: str) -> None:
        for limit in self._limits:
            self._rest_from_expiry()
            if not await self._limiter.hit(limit, *names):
                window = await self._limiter.get_window_stats(limit, *names)
                raise RateLimited(retry_after_seconds=window.reset_time - time.time())

    def _rest_from_expiry(self) -> None:
        """Lets the storage look for what has expired now and then only.

        It would do so with every call, which costs a hop into a thread for each client that it knows, and many times
        what counting costs. What has expired is not counted anyway; it only takes room. While a task in the storage's
        ``timer`` is not done, it does not begin again.
        """
        timer = self._storage.timer
        if timer is not None and timer.done() and timer is not self._rest:
            self._rest = self._storage.timer = asyncio.create_task(asyncio.sleep(_EXPIRY_SECONDS))

    def client_ip(self, peer: str, forwarded_for: str) -> str:
        """The client's address.

        ``peer`` is what grpc says (``ipv4:127.0.0.1:4242``, ``ipv6:%5B::1%5D:4242``); x-forwarded-for is read from its
        end, each entry believed only if whoever wrote it is a trusted proxy.
        """
        address = _peer_address(peer)
        for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
            if not self._is_trusted(address):
                break
            address = hop
        return address

    def _is_trusted(self, address: str) -> bool:
        try:
            ip = ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._trusted)


def _peer_address(peer: str) -> str:
    """``ipv4:127.0.0.1:4242`` → ``127.0.0.1``; a Unix socket counts as loopback."""
    kind, _, rest = unquote(peer).partition(":")
    if kind == "unix":
        return "127.0.0.1"
    address = rest.rpartition(":")[0].strip("[]")
    # A server that listens on :: sees IPv4 clients as ::ffff:127.0.0.1.
    return address.removeprefix("::ffff:") if "." in address else address

"""MEMORY_GLOBAL_RATE_LIMIT: calls per client address. MEMORY_TENANT_RATE_LIMIT: per tenant, whoever makes them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from memory_grpc.addresses import counted
from memory_grpc.errors import RateLimited, TenantRateLimited
from memory_grpc.interceptors.call import Call
from memory_grpc.interceptors.client_address import ClientAddresses
from memory_grpc.interceptors.counts import Counts, limits_of
from memory_grpc.observability import metrics

_CALLS, _PROBES, _TENANT = "client", "probes", "tenant"


class RateLimit:
    """A moving window per client address; several limits (``10/second;200/minute``) all hold."""

    def __init__(self, notation: str, addresses: ClientAddresses, counts: Counts) -> None:
        self._limits = limits_of(notation, "MEMORY_GLOBAL_RATE_LIMIT")
        self._addresses = addresses
        self._counts = counts

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Notes the client's address; raises RateLimited, which says when it may come back.

        Health and probes are counted apart, so that a client that is over its limit still hears how the server is; not
        those of a trusted proxy itself, which asks for everybody. Reflection tells whether a key holds, and counts as
        any other call.
        """
        forwarded_for = call.metadata.get("x-forwarded-for", "")
        address = self._addresses.of(call.context.peer(), forwarded_for)
        call.client = counted(address)
        seconds: float | None = None
        if not call.is_probe or call.is_reflection:
            seconds = await self._counts.hit(self._limits, _CALLS, call.client)
        elif forwarded_for or not self._addresses.is_trusted(address):
            seconds = await self._counts.hit(self._limits, _PROBES, call.client)
        if seconds is not None:
            metrics.CALLS_LIMITED.labels(_CALLS).inc()
            raise RateLimited(retry_after_seconds=seconds)
        yield


class TenantRateLimit:
    """The same per tenant. A stream is a call of each tenant that it names."""

    def __init__(self, notation: str, counts: Counts) -> None:
        self._limits = limits_of(notation, "MEMORY_TENANT_RATE_LIMIT")
        self._counts = counts

    async def count(self, call: Call, tenants: Iterable[str]) -> None:
        """Of a call whose request names some tenants, or whose key is for one. Raises TenantRateLimited."""
        if not self._limits or call.is_probe:
            return
        named = frozenset(tenants) - {""} or (call.grant.tenants if call.grant else None) or frozenset()
        for tenant in sorted(named - call.counted):
            call.counted |= {tenant}
            # Tenants' names are nobody else's business, and of any form.
            name = hashlib.sha256(tenant.encode()).hexdigest()
            seconds = await self._counts.hit(self._limits, _TENANT, name)
            if seconds is not None:
                metrics.CALLS_LIMITED.labels(_TENANT).inc()
                raise TenantRateLimited(retry_after_seconds=seconds)

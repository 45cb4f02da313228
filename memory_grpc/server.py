"""The grpc.aio server: services, standard health, reflection, the interceptor chain, and the drain."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from memory_grpc import ports, reflection
from memory_grpc.addresses import bracketed
from memory_grpc.at_work import AtWork
from memory_grpc.errors import StartupError
from memory_grpc.interceptors.audit import audit, begun
from memory_grpc.interceptors.authenticate import Authenticate, Tokens
from memory_grpc.interceptors.authorize import authorize, check_request, tenants
from memory_grpc.interceptors.call import Call
from memory_grpc.interceptors.chain import Chain
from memory_grpc.interceptors.client_address import ClientAddresses
from memory_grpc.interceptors.concurrency import ConcurrencyLimiter
from memory_grpc.interceptors.counts import Counts
from memory_grpc.interceptors.deadline import limit_time
from memory_grpc.interceptors.gate import Gate
from memory_grpc.interceptors.key_limit import KeyRateLimit
from memory_grpc.interceptors.observe import observe
from memory_grpc.interceptors.position import position, written
from memory_grpc.interceptors.rate_limit import RateLimit, TenantRateLimit
from memory_grpc.interceptors.share import Share
from memory_grpc.interceptors.shed import Shed
from memory_grpc.interceptors.translate import translate
from memory_grpc.observability import metrics
from memory_grpc.operations.models.registry import Slot
from memory_grpc.probes import Health
from memory_grpc.rpcs import SERVICES
from memory_grpc.services import add_services
from memory_grpc.settings import Settings
from memory_grpc.tls_server import server_credentials

_NAMES = tuple(str(service.full_name) for service in SERVICES)
# How long those who watch health have to hear that it ends, before the first call is refused.
_NOTICE_SECONDS = 0.1
# How long answers that were given have to be sent.
_FLUSH_SECONDS = 1.0
_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def _options(settings: Settings) -> list[tuple[str, Any]]:
    return [
        # Two servers would share a port in silence, each seeing half of the calls.
        ("grpc.so_reuseport", 0),
        # The chain refuses what is over the limit with a reason; this only bounds what is read for that. Past it grpc
        # resets the stream, which Envoy may see before the status and then report as UNAVAILABLE.
        ("grpc.max_receive_message_length", 4 * settings.max_request_bytes + 65536),
        ("grpc.max_send_message_length", -1),
        # 16 KB of gzip can be a thousand times its size, and would be unpacked before the key is looked at: compressed
        # messages are UNIMPLEMENTED. The one algorithm that is left is none.
        ("grpc.compression_enabled_algorithms_bitset", 1),
        # As much as Envoy lets through, with room for what it adds.
        ("grpc.max_metadata_size", 64 * 1024),
        ("grpc.absolute_max_metadata_size", 64 * 1024),
        ("grpc.max_concurrent_streams", 1000),
        # Dead peers are noticed, and eager keepalives of live ones are borne.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # Clients that ping every 10 seconds may be early; without calls grpc would bear one ping in two hours.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ]


class Server:
    """Listens from ``start`` on; serves from ``open`` on; ends with ``drain``."""

    def __init__(self, settings: Settings, slot: Slot, tokens: Tokens | None = None, *, processes: int = 1) -> None:
        self._settings = settings
        self._started_at = time.monotonic()
        self.gate = Gate()
        self._health = Health(("", *_NAMES))
        door = ConcurrencyLimiter(
            # What the database can do at once is not too much.
            floor=settings.database_pool_max_size,
            ceiling=settings.max_calls_in_flight,
            seconds=settings.request_timeout_seconds,
        )
        share = Share(door)
        storage = settings.rate_limit_storage
        counts = Counts(storage.get_secret_value() if storage else "", processes=processes)
        rate_limit = RateLimit(settings.global_rate_limit, ClientAddresses(settings.trusted_proxies), counts)
        tenant_limit = TenantRateLimit(settings.tenant_rate_limit, counts)
        authenticate = Authenticate(settings.api_keys, lambda: slot.operations.keyring, tokens)

        async def holds(call: Call, request: Any) -> None:
            await authenticate.again(call)
            check_request(call, request)

        async def permit(call: Call, request: Any) -> None:
            if call.kind == "unary":
                check_request(call, request)
            else:
                await holds(call, request)
            named = list(tenants(request))
            call.account = next(filter(None, named), "")
            await tenant_limit.count(call, named)
            if call.kind == "unary":
                share.admit(call, named)
            await begun(lambda: slot.operations.trail, call)

        # As many reads, and as many writes, as may be inside at all.
        at_work = AtWork(max(1, settings.database_pool_max_size // 4), 2 * settings.max_calls_in_flight)
        metrics.CALLS_AT_DOOR.set_function(lambda: at_work.waiting)

        def place(call: Call) -> AbstractAsyncContextManager[None]:
            if call.facts.kind not in ("read", "write"):
                return nullcontext()
            # By tenant, as connections are; without one by caller.
            return at_work.of(call.account or call.caller, call.waited)

        told = written(lambda: slot.operations.written.last)
        self.chain = Chain(
            [
                observe(),
                translate,
                self.gate.interceptor,
                door.interceptor,
                rate_limit.interceptor,
                audit(lambda: slot.operations.trail),
                limit_time(settings.request_timeout_seconds),
                authenticate.interceptor,
                KeyRateLimit(counts).interceptor,
                authorize,
                position(told),
                share.interceptor,
            ],
            settings.max_request_bytes,
            permit,
            Shed(self.gate, door),
            holds,
            told,
            place,
        )
        self._server = grpc.aio.server(interceptors=[self.chain], options=_options(settings))
        add_services(self._server, slot, settings, lambda: time.monotonic() - self._started_at)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable((*_NAMES, health.SERVICE_NAME), self._server)

    async def start(self) -> int:
        """Listens, NOT_SERVING; returns the port. Raises StartupError when it cannot, or a certificate is unfit."""
        self._set_health(_NOT_SERVING)
        address = f"{bracketed(self._settings.host)}:{self._settings.grpc_port}"
        credentials = server_credentials(self._settings)
        try:
            if credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            host, port = self._settings.host, self._settings.grpc_port
            raise StartupError(ports.why_refused(host, port, "MEMORY_HOST", "MEMORY_GRPC_PORT")) from error
        await self._server.start()
        return port

    async def open(self) -> None:
        """SERVING from here on."""
        self.gate.is_open = True
        self._set_health(_SERVING)

    async def report(self, *, serving: bool) -> None:
        """While it is open: SERVING, or NOT_SERVING so that callers go elsewhere; calls are answered all the same."""
        if self.gate.is_open:
            self._set_health(_SERVING if serving else _NOT_SERVING)

    async def drain(self) -> None:
        """NOT_SERVING first, then no new calls, then up to MEMORY_DRAIN_SECONDS for those in flight.

        The gate refuses new calls until the last one inside has ended, and only then does grpc stop: what arrives while
        grpc stops ends as CANCELLED, which tells a caller nothing.
        """
        self._set_health(_NOT_SERVING)
        if self.gate.is_open:
            await asyncio.sleep(_NOTICE_SECONDS)
        await self.gate.close(self._settings.drain_seconds)
        await self._server.stop(_FLUSH_SECONDS)

    async def wait(self) -> None:
        """Returns when the server has ended."""
        await self._server.wait_for_termination()

    def _set_health(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        metrics.SERVING.set(status == _SERVING)
        self._health.set(status)

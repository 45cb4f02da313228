"""``memory-grpc up``: Postgres, the server and Envoy, started in this order and stopped in the other."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TextIO, TypeVar, cast

import httpx
from rich.console import Console

from memory_grpc.addresses import bracketed, from_here
from memory_grpc.errors import StartupError
from memory_grpc.local.database_user import prepare
from memory_grpc.local.envoy import EnvoyProcess
from memory_grpc.local.envoy_config import shows_metrics
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.local.processes import ServerProcesses, count, portion, room_for
from memory_grpc.observability.log_sink import LogSink
from memory_grpc.ports import ensure_free
from memory_grpc.settings import Settings

_T = TypeVar("_T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def up(settings: Settings) -> int:
    """Runs everything until SIGINT or SIGTERM (0), or until a part dies on its own (1, after a sentence on which).

    Each further signal cuts the step short that the stop is at. Raises StartupError when something cannot start; what
    was started is then stopped again.
    """
    servers = count(settings)
    # As for the log: a full disk, or a reader that has gone or stands still, is to end no service.
    sink = LogSink(sys.stdout, "{} lines could not be written here.\n".format)
    terminal = sys.stdout is not None and sys.stdout.isatty()
    console = Console(file=cast(TextIO, sink), force_terminal=terminal, soft_wrap=True, highlight=False, markup=False)
    run = _Run(portion(_together(settings), servers), servers, console)
    main = asyncio.ensure_future(run.everything())
    with _signals_to(lambda: run.interrupted(main)):
        try:
            return await main
        except asyncio.CancelledError:
            if not run.stopping:
                raise  # cancelled from outside, not by a signal
            return run.code
        finally:
            sink.drain(1.0)


@dataclass
class _Run:
    settings: Settings
    servers: int
    console: Console
    stopping: bool = False
    code: int = 0
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _started: bool = False

    def interrupted(self, main: asyncio.Future[int]) -> None:
        """A signal: the first stops everything in order, or gives the start up; others do not wait for calls."""
        hurried, self.stopping = self.stopping, True
        self._stop.set()
        if hurried or not self._started:
            main.cancel()

    async def everything(self) -> int:
        settings = self.settings
        self._check_ports()
        from memory_grpc.app import running, settle  # takes seconds: a taken port is told before

        async with AsyncExitStack() as parts:
            conninfo = settings.conninfo
            postgres = None
            servers = self.servers
            if conninfo is None:
                _forget_libpq_variables()
                postgres = EmbeddedPostgres(settings.data_dir, room_for(settings, servers))
                parts.push_async_callback(asyncio.to_thread, postgres.stop)
                conninfo = await _to_the_end(lambda: prepare(postgres.start()))
            await parts.enter_async_context(running(settings, conninfo, processes=servers))
            others = ServerProcesses(settings, conninfo, servers)
            parts.push_async_callback(self._stop_in_time, others)
            others.start()
            await others.wait_ready()
            envoy = EnvoyProcess(settings, settings.data_dir / "envoy", servers)
            parts.push_async_callback(self._stop_in_time, envoy)
            await _to_the_end(envoy.start)
            await _to_the_end(envoy.wait_ready)
            await self._answers()
            self._started = True
            settle()
            self._say_hello()
            self.code = await self._watch(postgres, others, envoy)
            self.stopping = True
        return self.code

    def _check_ports(self) -> None:
        settings = self.settings
        ports = [(settings.http_host, settings.http_port, "MEMORY_HTTP_HOST", "MEMORY_HTTP_PORT")]
        for index in range(self.servers):
            ports.append((settings.host, settings.grpc_port + index, "MEMORY_HOST", "MEMORY_GRPC_PORT"))
            ports.append((settings.host, settings.metrics_port + index, "MEMORY_HOST", "MEMORY_METRICS_PORT"))
        for each in ports:
            ensure_free(*each, within_seconds=1.0)  # a killed run's parts are just ending

    async def _answers(self) -> None:
        """Returns once a REST call passes through Envoy and the server and back."""
        url = f"{_base(self.settings)}/v1/admin/health"
        # The certificate bears the names of others' ways here, not of this machine's.
        async with httpx.AsyncClient(timeout=5.0, trust_env=False, verify=False) as client:  # noqa: S501 - no key is sent
            for _ in range(200):
                try:
                    if (await client.get(url)).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.05)
        raise StartupError(f"The service does not answer at {url}.")

    async def _watch(self, postgres: EmbeddedPostgres | None, others: ServerProcesses, envoy: EnvoyProcess) -> int:
        while True:
            try:
                await asyncio.wait_for(self._stop.wait(), timeout=0.25)
            except TimeoutError:
                pass
            if self._stop.is_set():
                self.console.print("Stopping.")
                return 0
            for name, part in (("The embedded Postgres", postgres), ("Envoy", envoy)):
                if part is not None and (code := part.poll()) is not None:
                    self.console.print(f"{name} ended on its own (exit code {code}), see {part.log}.")
                    return 1
            if (code := others.poll()) is not None:
                self.console.print(f"A server process ended on its own (exit code {code}).")
                return 1

    async def _stop_in_time(self, part: EnvoyProcess | ServerProcesses) -> None:
        try:
            await asyncio.to_thread(part.stop, self.settings.drain_seconds)
        except asyncio.CancelledError:
            await asyncio.to_thread(part.stop, 0.0)
            raise

    def _say_hello(self) -> None:
        settings, base, say = self.settings, _base(self.settings), self.console.print
        say("AI Memory Layer is ready.", style="bold green")
        say(f"  REST     {base}")
        say(f"  gRPC     {_host(settings.http_host)}:{settings.http_port}, {_host(settings.host)}:{settings.grpc_port}")
        say(f"  console  {base}/console")
        say(f"  docs     {base}/docs")
        metrics = base if shows_metrics(settings) else f"http://{_host(settings.host)}:{settings.metrics_port}"
        say(f"  metrics  {metrics}/metrics")
        say("Try it:")
        key = " -H 'x-api-key: YOUR-KEY'" if settings.api_keys else ""
        body = '{"tenant_id":"acme","conversation_id":"conv-1","role":"user","content":"I love Python programming"}'
        say(f"  curl -X POST {base}/v1/messages -H 'content-type: application/json'{key} -d '{body}'")
        if settings.api_keys:
            say("  YOUR-KEY is one of MEMORY_API_KEYS.")
        say("Ctrl-C stops it.")


def _forget_libpq_variables() -> None:
    """PGHOSTADDR, PGOPTIONS and the like are meant for another Postgres than the embedded one."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


async def _to_the_end(function: Callable[[], _T]) -> _T:
    """Runs a start in a thread. Cancelled, it still waits for the end: only what has started can be stopped."""
    thread = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        await asyncio.wait([thread])
        raise


@contextmanager
def _signals_to(handler: Callable[[], None]) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    # Under nohup a hang-up means nothing: it is meant to outlive its terminal. The others always count, also where a
    # shell that starts it in the background has SIGINT ignored.
    is_under_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [number for number in _SIGNALS if not (is_under_nohup and number == signal.SIGHUP)]
    for number in heard:
        loop.add_signal_handler(number, handler)
    try:
        yield
    finally:
        for number in heard:
            loop.remove_signal_handler(number)


def _base(settings: Settings) -> str:
    scheme = "https" if settings.http_tls_cert_file else "http"
    return f"{scheme}://{_host(settings.http_host)}:{settings.http_port}"


def _host(host: str) -> str:
    """Where a client on this machine reaches a server bound to ``host``."""
    return bracketed(from_here(host))


def _together(settings: Settings) -> Settings:
    """Envoy finds the server where it listens, unless the settings say another place."""
    if "upstream_host" in settings.model_fields_set:
        return settings
    return settings.model_copy(update={"upstream_host": from_here(settings.host)})

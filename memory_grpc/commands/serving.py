"""``memory-grpc up | serve | migrate | envoy-config``: the commands that run the service itself."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from memory_grpc.commands.configuration import load_settings
from memory_grpc.commands.extras import needed
from memory_grpc.commands.failure import OK, CommandError, said_plainly
from memory_grpc.settings import Settings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def up() -> int:
    """Postgres (embedded, unless MEMORY_DATABASE_URL is set), the server and Envoy, until a signal."""
    with configured("local") as settings:
        from memory_grpc.local.up import up as run_everything

        return asyncio.run(run_everything(settings))


def serve(processes: int = 1) -> int:
    """The server alone, until a signal; one of ``processes`` behind one Envoy."""
    with configured("server") as settings:
        return asyncio.run(_serve(settings, conninfo(settings), processes))


def migrate(*, as_json: bool) -> int:
    """Brings the database up to date and says what was applied."""
    with configured("server") as settings:
        from memory_grpc.store.migrations import migrate as apply

        applied = apply(settings.direct_conninfo or conninfo(settings))
    if as_json:
        from memory_grpc.commands import output

        output.write_json({"applied": list(applied)})
        return OK
    for name in applied:
        print(f"applied {name}")
    if not applied:
        print("The database is up to date.")
    return OK


def envoy_config(output: Path | None) -> int:
    """Writes Envoy's configuration for these settings to a file; to standard output for None and ``-``."""
    settings = load_settings()
    with needed("server"):
        from memory_grpc.local.envoy_config import render, write

        if output in (None, Path("-")):
            print(render(settings), end="")
        else:
            write(settings, output)
    return OK


@contextmanager
def configured(extra: str) -> Iterator[Settings]:
    """The settings, with logging set up by them, for what needs an extra. Nothing that is said on standard error waits
    for a reader: neither a warning of the settings, nor the sentence on why it ends, which is said here."""
    with needed(extra):
        from memory_grpc.observability.logging import configure, unblocked
    with unblocked(), said_plainly(), needed(extra):
        import structlog

        from memory_grpc import libpq_environment

        settings = load_settings()
        configure(settings.log_level, settings.log_format)
        if forgotten := libpq_environment.forget_changes():
            structlog.get_logger(__name__).info("libpq_variables_ignored", names=forgotten)
        yield settings


def conninfo(settings: Settings) -> str:
    """The DSN of the settings. Raises CommandError where there is none."""
    if settings.conninfo is None:
        raise CommandError(
            "MEMORY_DATABASE_URL is not set: give it a Postgres with pgvector (postgresql://user:password@host/db), or "
            "run `memory-grpc up`, which brings its own."
        )
    return settings.conninfo


async def _serve(settings: Settings, dsn: str, processes: int) -> int:
    """Serves until SIGINT or SIGTERM, then drains; a second signal ends the process at once."""
    from memory_grpc.app import running, settle

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    serving = False

    async def server() -> None:
        nonlocal serving
        async with running(settings, dsn, processes=processes):
            serving = True
            settle()
            await stop.wait()

    task = asyncio.create_task(server())

    def stopped() -> None:
        stop.set()
        if not serving:
            task.cancel()  # a start can take long: nobody waits for it now
        for number in _SIGNALS:
            loop.remove_signal_handler(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped)
    with suppress(asyncio.CancelledError):
        await task
    return OK

"""One server migrates at a time; a lock that nobody gives back is told and keeps no process alive."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import psycopg
import pytest
from structlog.testing import capture_logs

from memory_grpc.errors import StartupError
from memory_grpc.store.migrations import LOCK_KEY, migrate
from tests.chaos.harness import ServerProcess, until
from tests.integration.test_observability import dsn_url


def test_a_wait_says_who_holds_the_lock_and_can_be_ended(dsn: str) -> None:
    stopped = threading.Event()
    with psycopg.connect(dsn, autocommit=True) as holder, capture_logs() as logs:
        holder.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
        threading.Timer(0.3, stopped.set).start()
        with pytest.raises(StartupError, match="while another process held the migration lock"):
            migrate(dsn, stopped=stopped)
        told = [line for line in logs if line["event"] == "waiting_for_migrations"]
        assert [line["held_by"] for line in told] == [[holder.info.backend_pid]]
        holder.execute("select pg_advisory_unlock(%s)", [LOCK_KEY])
        assert migrate(dsn) == []


@pytest.mark.asyncio
async def test_a_server_that_waits_ends_on_sigterm(dsn: str, tmp_path: Path) -> None:
    server = ServerProcess(dsn_url(dsn), tmp_path)
    with psycopg.connect(dsn, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(%s)", [LOCK_KEY])
        try:
            server.spawn()
            await until(lambda: '"waiting_for_migrations"' in server.text, 60)
            server.send(signal.SIGTERM)
            assert await server.ended(10) == 0
        finally:
            server.close()

"""A server whose log goes nowhere serves, and says so in its metrics."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest

from memory_layer.v1 import admin_service_pb2 as apb
from memory_layer.v1 import memory_service_pb2 as pb
from tests.conftest import free_port
from tests.integration.test_observability import dsn_url, wait_serving
from tests.outputs import full_disk, full_pipe, pipe_whose_reader_went
from tests.stubs import Stubs


@dataclass
class Started(Stubs):
    """A server process that serves, and clients of it."""

    process: asyncio.subprocess.Process
    metrics_port: int

    async def dropped(self) -> float:
        """Lines that it counts as dropped."""
        async with httpx.AsyncClient(trust_env=False) as http:
            page = (await http.get(f"http://127.0.0.1:{self.metrics_port}/metrics")).text
        (line,) = [line for line in page.splitlines() if line.startswith("memory_log_lines_dropped_total ")]
        return float(line.split()[1])


async def begun(dsn: str, directory: Path, stderr: int, **variables: str) -> asyncio.subprocess.Process:
    """A server's process."""
    settings = {
        "MEMORY_DATABASE_URL": dsn_url(dsn),
        "MEMORY_EMBEDDING_PROVIDER": "hashing",
        "MEMORY_GLOBAL_RATE_LIMIT": "",
    }
    environment = os.environ | settings | variables
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memory_grpc", "serve"), env=environment, cwd=directory, stderr=stderr
    )


@asynccontextmanager
async def started(dsn: str, directory: Path, stderr: int, **variables: str) -> AsyncIterator[Started]:
    port, metrics_port = free_port(), free_port()
    variables |= {"MEMORY_GRPC_PORT": str(port), "MEMORY_METRICS_PORT": str(metrics_port)}
    process = await begun(dsn, directory, stderr, **variables)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            await wait_serving(channel)
            yield Started(channel, process, metrics_port)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def works(server: Started, calls: int) -> None:
    for number in range(calls):
        await server.memory.IngestMessage(
            pb.IngestMessageRequest(tenant_id="t", conversation_id="c", role="user", content=f"turn {number}"),
            timeout=10,
        )
    found = await server.memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id="t", query="turn"), timeout=10)
    assert found.items
    assert (await server.admin.GetHealth(apb.GetHealthRequest(), timeout=10)).status == "ok"


async def ends(server: Started) -> None:
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(server.process.wait(), 15) == 0


@pytest.mark.asyncio
async def test_a_full_disk(dsn: str, tmp_path: Path) -> None:
    with full_disk() as full:
        async with started(dsn, tmp_path, full) as server:
            await works(server, 5)
            assert await server.dropped() >= 7
            await ends(server)


@pytest.mark.asyncio
async def test_a_pipe_whose_reader_went(dsn: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    try:
        async with started(dsn, tmp_path, writer) as server:
            before = await server.dropped()
            os.close(reader)
            await works(server, 5)
            assert await server.dropped() - before >= 7
            await ends(server)
    finally:
        os.close(writer)


@pytest.mark.asyncio
@pytest.mark.parametrize("warned_of", [{}, {"MEMORY_NO_SUCH_SETTING": "1"}])
async def test_a_pipe_that_nobody_reads(dsn: str, tmp_path: Path, warned_of: dict[str, str]) -> None:
    """Nor does what is said before the log is set up wait for a reader."""
    with full_pipe() as writer:
        async with started(dsn, tmp_path, writer, **warned_of) as server:
            await works(server, 5)
            await ends(server)  # which waits for the log a second, and no longer


@pytest.mark.asyncio
@pytest.mark.parametrize("wrong", [{"MEMORY_GRPC_PORT": "many"}, {"MEMORY_HOST": "192.0.2.1"}])
@pytest.mark.parametrize("output", [full_disk, pipe_whose_reader_went, full_pipe])
async def test_a_start_that_is_refused_ends_though_nobody_hears_why(
    dsn: str, tmp_path: Path, output: Callable[[], AbstractContextManager[int]], wrong: dict[str, str]
) -> None:
    with output() as writer:
        process = await begun(dsn, tmp_path, writer, **wrong)
        try:
            assert await asyncio.wait_for(process.wait(), 30) == 1
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.asyncio
async def test_what_is_said_before_the_log_is_set_up_comes_first(dsn: str, tmp_path: Path) -> None:
    process = await begun(dsn, tmp_path, PIPE, MEMORY_NO_SUCH_SETTING="1", MEMORY_HOST="192.0.2.1")
    _, said = await asyncio.wait_for(process.communicate(), 30)
    first, last = said.decode().splitlines()
    assert first == "Warning: no setting reads MEMORY_NO_SUCH_SETTING: look for a misspelling."
    assert last.startswith("MEMORY_HOST: 192.0.2.1 is no address of this machine")


@pytest.mark.asyncio
async def test_no_standard_error_at_all(dsn: str, tmp_path: Path) -> None:
    """As of ``2>&-``: the number must not go to a socket, which libraries would then write into."""
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@" 2>&-\n')
    wrapper.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", str(wrapper))
        async with started(dsn, tmp_path, asyncio.subprocess.DEVNULL) as server:
            await works(server, 5)
            descriptor = Path(f"/proc/{server.process.pid}/fd/2")
            assert descriptor.readlink() == Path("/dev/null")  # noqa: ASYNC240
            assert await server.dropped() >= 7
            await ends(server)

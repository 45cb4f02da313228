"""What ``memory-grpc import`` promises: every line once, for good."""

from __future__ import annotations

import asyncio
import json
from uuid import uuid4

import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.cli import Cli, Rows, contents, line, write
from tests.conftest import StartServer

pytestmark = pytest.mark.asyncio


async def test_a_file_is_imported_once_when_the_service_has_forgotten_other_request_ids(
    start_server: StartServer, cli: Cli, rows: Rows
) -> None:
    """From two machines, each with a state directory of its own, weeks apart; with ids of the file's own too."""
    file = write(cli, line("one"), line("two", request_id=str(uuid4())), line("three"))
    async with start_server(idempotency_hours=1e-6, retention_schedule_seconds=0.2) as server:

        async def imported(machine: str) -> dict[str, int]:
            done = await cli(
                "import", file, "--address", server.grpc_address, "--json", XDG_STATE_HOME=str(cli.folder / machine)
            )
            assert done.code == 0, done.err
            return json.loads(done.out)

        assert (await imported("first"))["stored"] == 3
        await server.memory.IngestMessage(
            pb.IngestMessageRequest(
                tenant_id="other", conversation_id="c", role="user", content="four", request_id=str(uuid4())
            )
        )
        async with asyncio.timeout(30):
            while rows("select from idempotency_keys where tenant_id = 'other'"):
                await asyncio.sleep(0.05)
        again = await imported("second")
    assert (again["stored"], again["repeated"], again["skipped"]) == (0, 3, 0)
    assert contents(rows) == ["four", "one", "three", "two"]

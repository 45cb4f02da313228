"""A memory on the move, with everything killed on the way: the file is whole, and the memory comes back once."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import psycopg
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import revision_pb2 as revision
from tests.chaos.harness import ServerProcess, connected, fetch, item, message, rounds, serving
from tests.cli import Cli

pytestmark = pytest.mark.timeout(3600)

COUNT = 600


async def _said(server: ServerProcess) -> None:
    async with connected(server.address) as client:
        for start in range(0, COUNT, 100):
            batch = [
                message(f"turn {number} " + "word " * 40, embed_later=True) for number in range(start, start + 100)
            ]
            await client.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch), timeout=60)


async def _updated_often(server: ServerProcess) -> None:
    """Another message, whose history takes several records."""
    async with connected(server.address) as client:
        one = await client.memory.IngestMessage(message("what was", embed_later=True), timeout=60)
        for number in range(12):
            await client.memory.UpdateMessage(
                revision.UpdateMessageRequest(
                    message_id=one.id,
                    tenant_id="chaos",
                    update_mask=["content"],
                    content=f"what is {number} ".ljust(100_000, "🎉"),
                    embed_later=True,
                ),
                timeout=60,
            )


async def _interrupted(
    process: asyncio.subprocess.Process, server: ServerProcess, chance: random.Random, *, whom: str
) -> None:
    """Kills the server, which starts again, or the command, somewhere on the way."""
    await asyncio.sleep(chance.uniform(0.2, 2.0))
    if whom == "command":
        if process.returncode is None:
            process.kill()
        return
    await server.kill()
    await server.start()


@pytest.mark.asyncio
@pytest.mark.parametrize("whom", ["server", "command"])
async def test_18_an_export_that_is_cut_off(dsn: str, tmp_path: Path, whom: str) -> None:
    chance, cli = random.Random(18), Cli(tmp_path)
    with item(18, f"export, SIGKILL of the {whom}") as result:
        async with serving(dsn, tmp_path) as server:
            await _said(server)
            await _updated_often(server)
            await _said(server)
            to_server = ("export", "--tenant", "chaos", "--address", server.address)
            whole = (await cli(*to_server)).out
            assert whole.count('{"revisions":') == 2
            assert len(whole.splitlines()) == 1 + COUNT + 3 + COUNT
            for _ in range(rounds("TRANSFER", 2)):
                result.tried += 1
                (tmp_path / "part.jsonl").write_text("")
                for whom_now in (whom, "nobody"):
                    process = await cli.start(*to_server, "--continue", "part.jsonl")
                    if whom_now != "nobody":
                        await _interrupted(process, server, chance, whom=whom_now)
                    _, err = await process.communicate()
                    assert process.returncode in ((0,) if whom_now != "command" else (0, -9)), err.decode()
                assert (tmp_path / "part.jsonl").read_text() == whole
                result.held += 1


@pytest.mark.asyncio
@pytest.mark.parametrize("whom", ["server", "command"])
async def test_18_an_import_that_is_cut_off(dsn: str, tmp_path: Path, whom: str) -> None:
    chance, cli = random.Random(19), Cli(tmp_path)
    with item(18, f"import of an export, SIGKILL of the {whom}") as result:
        async with serving(dsn, tmp_path) as server:
            await _said(server)
            whole = (await cli("export", "--tenant", "chaos", "--address", server.address)).out
            (tmp_path / "whole.jsonl").write_text(whole)
            command = ("import", "whole.jsonl", "--address", server.address, "--batch-size", "20")
            for _ in range(rounds("TRANSFER", 2)):
                result.tried += 1
                with psycopg.connect(dsn, autocommit=True) as connection:
                    connection.execute("delete from messages")
                for whom_now in (whom, "nobody"):
                    process = await cli.start(*command)
                    if whom_now != "nobody":
                        await _interrupted(process, server, chance, whom=whom_now)
                    _, err = await process.communicate()
                    assert process.returncode in ((0,) if whom_now != "command" else (0, -9)), err.decode()
                    # A batch is there whole or not at all.
                    assert fetch(dsn, "select count(*) from messages")[0][0] % 20 == 0
                again = (await cli("export", "--tenant", "chaos", "--address", server.address)).out
                assert again == whole
                result.held += 1

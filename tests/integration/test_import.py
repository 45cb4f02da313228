"""What ``memory-grpc import`` promises: every line once, for good, and in the order of the file."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any
from uuid import uuid4

import pytest

from memory_grpc.errors import DeadlineExceeded, EmbeddingUnavailable, StoreUnavailable
from memory_grpc.jobs import start
from memory_grpc.jobs.pending import EmbedPending
from memory_layer.v1 import memory_service_pb2 as pb
from tests.cli import Cli, Rows, contents, line, write
from tests.conftest import RunningServer, StartServer

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


class Flaky:
    """An ingest that is slow for some calls, fails before it stores for others, and for some after it has stored."""

    def __init__(self, ingest: Any, seed: int) -> None:
        self._ingest = ingest
        self._chance = random.Random(seed)
        self.failed = 0

    async def __call__(self, messages: Any) -> Any:
        fate = self._chance.random()
        if fate < 0.4:
            await asyncio.sleep(0.08 * self._chance.random())
        if 0.4 < fate < 0.46:
            self.failed += 1
            raise StoreUnavailable
        stored = await self._ingest(messages)
        if fate > 0.9:
            self.failed += 1
            raise DeadlineExceeded
        return stored


@pytest.mark.parametrize("in_flight", ["2", "8"])
async def test_lines_of_one_moment_keep_their_order_whatever_the_server_does(
    server: RunningServer, cli: Cli, rows: Rows, in_flight: str
) -> None:
    """Times of minute precision, as logs have them: many lines of a conversation share one."""
    flaky = Flaky(server.application.operations.ingest, seed=3)
    object.__setattr__(server.application.operations, "ingest", flaky)
    lines = [
        {"content": f"{n:03}", "conversation_id": f"c{n % 3}", "created_at": f"2026-01-01T10:{n // 90:02}:00Z"}
        for n in range(360)
    ]
    file = write(cli, *(line(**fields) for fields in lines))
    options = ("--batch-size", "7", "--in-flight", in_flight, "--address", server.grpc_address, "--json")
    done = await cli("import", file, *options)
    assert done.code == 0, done.err
    assert flaky.failed > 3
    figures = json.loads(done.out)
    assert figures["stored"] + figures["repeated"] == 360
    for conversation in ("c0", "c1", "c2"):
        found = rows("select content from messages where conversation_id = %s order by created_at, id", conversation)
        assert [row[0] for row in found] == [f["content"] for f in lines if f["conversation_id"] == conversation]


async def test_lines_of_one_moment_keep_their_order_over_a_line_that_the_server_refuses(
    server: RunningServer, cli: Cli, rows: Rows
) -> None:
    """The batch after the refused line is under way already: it must not be stored before the rest of this one."""
    said = [f"{n:02}" for n in range(12)]
    moment = "2026-01-01T10:00:00Z"
    lines = [line(text, created_at=moment) for text in said]
    options = ("--batch-size", "4", "--in-flight", "3", "--address", server.grpc_address)
    refused = await cli(
        "import", write(cli, *lines[:2], line("02", created_at="2999-01-01T00:00:00Z"), *lines[3:]), *options
    )
    assert refused.code == 1
    assert "line 3: created_at: is more than a day in the future" in refused.err
    assert contents(rows) == said[:2]

    repaired = await cli("import", write(cli, *lines), *options)
    assert repaired.code == 0, repaired.err
    assert [row[0] for row in rows("select content from messages order by created_at, id")] == said


async def unavailable(*_: Any) -> Any:
    raise EmbeddingUnavailable


@pytest.fixture
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody embeds what is pending."""
    monkeypatch.setattr(start, "_PENDING_WORKERS", 0)


@pytest.mark.usefixtures("no_workers")
async def test_the_end_says_how_many_messages_wait_for_their_embedding(start_server: StartServer, cli: Cli) -> None:
    waiting = [line(f"later {n}", tenant, embed_later=True) for n in range(3) for tenant in ("acme", "other")]
    file = write(cli, *waiting, line("now"))
    async with start_server() as server:
        to_server = ("--address", server.grpc_address)
        first = await cli("import", file, *to_server)
        assert first.code == 0, first.err
        assert "7 stored, 6 pending (without an embedding yet: search does not find them)" in first.out
        found = json.loads((await cli("search", "later", "--tenant", "acme", *to_server, "--json")).out)
        assert [hit["content"] for hit in found["items"]] == ["now"]

        resumed = json.loads((await cli("import", file, *to_server, "--json")).out)
        assert (resumed["skipped"], resumed["pending"]) == (7, 3)  # of the tenant whose message came last
        again = json.loads((await cli("import", file, "--restart", *to_server, "--json")).out)
        assert (again["repeated"], again["pending"]) == (7, 6)

        # No search while the model is down: what the service said when it took the messages counts.
        object.__setattr__(server.application.operations, "search", unavailable)
        down = json.loads((await cli("import", file, "--restart", *to_server, "--json")).out)
        assert (down["repeated"], down["pending"]) == (7, 6)


@pytest.mark.usefixtures("no_workers")
async def test_what_is_embedded_by_the_end_does_not_wait(start_server: StartServer, cli: Cli) -> None:
    async with start_server(async_embeddings=True) as server:
        operations, database = server.application.operations, server.database
        ingest, embed = operations.ingest, EmbedPending(database, database, operations.search._models, max_attempts=3)

        async def stores_and_embeds(messages: Any) -> Any:
            stored = await ingest(messages)
            while await embed():
                pass
            return stored

        object.__setattr__(operations, "ingest", stores_and_embeds)
        done = await cli("import", write(cli, line("one"), line("two")), "--address", server.grpc_address)
    assert done.code == 0, done.err
    assert done.out.startswith("2 stored; ")

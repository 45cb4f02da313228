"""``memory-grpc eval`` against a server that embeds later: it measures the ranking, not the queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from memory_grpc.embedding import Embedder
from memory_grpc.errors import EmbeddingUnavailable
from memory_layer.v1 import memory_service_pb2 as pb
from tests.cli import Cli, Rows
from tests.conftest import RunningServer, StartServer

pytestmark = pytest.mark.asyncio

TEXTS = ("I bought a kite", "My boat sank", "The cat sleeps all day", "We paint the kitchen", "Bread and butter")


class Model:
    """Embeds messages once it is let."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.refuses = ""


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    made = Model()
    embed = Embedder.embed_messages

    async def held(self: Embedder, texts: Sequence[str], **options: Any) -> Any:
        await made.go.wait()
        if made.refuses in texts:
            raise EmbeddingUnavailable
        return await embed(self, texts, **options)

    monkeypatch.setattr(Embedder, "embed_messages", held)
    return made


@pytest.fixture
def file(cli: Cli) -> str:
    """A LoCoMo file with a question on each turn."""
    turns = [{"speaker": "Ann", "dia_id": f"D1:{n}", "text": text} for n, text in enumerate(TEXTS, start=1)]
    questions = [
        {"question": text, "answer": "", "evidence": [f"D1:{n}"], "category": 4}
        for n, text in enumerate(TEXTS, start=1)
    ]
    conversation = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns}
    sample = {"sample_id": "conv-1", "conversation": conversation, "qa": questions}
    (cli.folder / "locomo.json").write_text(json.dumps([sample]))
    return "locomo.json"


def arguments(server: RunningServer, file: str, *more: str) -> tuple[str, ...]:
    return ("eval", file, "--ranking", "semantic", "--json", "--address", server.grpc_address, *more)


async def asked_for(server: RunningServer) -> asyncio.Event:
    """Set once a search has said that something is pending."""
    seen, search = asyncio.Event(), server.application.operations.search

    async def watched(request: Any) -> Any:
        result = await search(request)
        if result.pending:
            seen.set()
        return result

    object.__setattr__(server.application.operations, "search", watched)
    return seen


def counted(rows: Rows) -> int:
    return int(rows("select count(*) from messages")[0][0])


@pytest.mark.parametrize("stored_before", [False, True])
async def test_it_asks_once_everything_is_embedded(
    start_server: StartServer, cli: Cli, rows: Rows, model: Model, file: str, stored_before: bool
) -> None:
    async with start_server(async_embeddings=True) as server:
        if stored_before:  # by somebody whose request ids are others: only what is stored tells that it is there
            for n, text in enumerate(TEXTS, start=1):
                request = pb.IngestMessageRequest(
                    tenant_id="conv-1", conversation_id="session_1", role="user", name="Ann", content=text
                )
                request.metadata["dia_id"] = f"D1:{n}"
                request.created_at.FromJsonString(f"2023-05-08T13:56:0{n}Z")
                await server.memory.IngestMessage(request)
        pending = await asked_for(server)
        process = await cli.start(*arguments(server, file))
        await asyncio.wait_for(pending.wait(), 60)
        assert process.returncode is None
        model.go.set()
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert "Waiting for an embedding: 5 messages." in err.decode()
    assert counted(rows) == 5
    [everything] = [row for row in json.loads(out) if row["category"] is None]
    assert (everything["recall_5"], everything["reciprocal_rank"]) == (100, 100)


async def test_it_gives_up_on_embeddings_that_do_not_come(
    start_server: StartServer, cli: Cli, model: Model, file: str
) -> None:
    async with start_server(async_embeddings=True) as server:
        done = await cli(*arguments(server, file, "--give-up-after", "0.5"))
        model.go.set()
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[-1].startswith(
        "Without an embedding: 5 messages (5 of conv-1), and their number has not"
    )


async def test_it_names_what_has_failed(start_server: StartServer, cli: Cli, model: Model, file: str) -> None:
    model.refuses = TEXTS[2]
    model.go.set()
    async with start_server(async_embeddings=True, embedding_max_attempts=1) as server:
        done = await cli(*arguments(server, file))
    assert (done.code, done.out) == (1, "")
    assert "The model refused " in done.err
    assert " of conv-1, which have failed" in done.err


async def test_contexts_are_measured_by_budget(server: RunningServer, cli: Cli, file: str) -> None:
    data = json.loads((cli.folder / file).read_text())
    for question in data[0]["qa"]:
        question["question"] = f"when was it said: {question['question']}"
    (cli.folder / file).write_text(json.dumps(data))
    done = await cli(*arguments(server, file, "--budget", "1", "12", "200", "--json-lines", "lines.jsonl"))
    assert done.code == 0, done.err
    rows = json.loads(done.out)
    assert [(row["budget"], row["questions"]) for row in rows] == [(1, 5), (12, 5), (200, 5)]
    assert [row["all"] for row in rows] == [0, 20.0 * _held(cli, 12), 100]
    assert all(row["tokens"] <= row["budget"] for row in rows)
    refused = await cli("eval", file, "7")
    assert refused.code == 2 and "numbers follow --budget" in refused.err


def _held(cli: Cli, budget: int) -> int:
    """How many questions found their turn within a budget, by the lines."""
    lines = [json.loads(line) for line in (cli.folder / "lines.jsonl").read_text().splitlines()]
    return sum(line["budget"] == budget and line["evidence"] <= line["held"] for line in lines)

"""A remote model that crashes or answers garbage: messages are kept as pending, whole, and nothing leaks out of it."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import grpc
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos import short_pauses
from tests.chaos.harness import Client, ServerProcess, connected, faults_of_store, fetch, item, message, serving, until
from tests.chaos.remote_model import FAULTS, RemoteModel, remote_model

CANARY = "CANARY"


@pytest.mark.asyncio
async def test_5_a_remote_model_that_crashes_or_answers_garbage(dsn: str, tmp_path: Path) -> None:
    """Its words, which repeat the key and the texts, are for nobody."""
    wrong: list[str] = []
    with item(5, "a remote model that crashes or answers garbage") as result:
        async with (
            remote_model() as model,
            serving(
                dsn,
                tmp_path,
                command=short_pauses.COMMAND,
                EMBEDDING_PROVIDER="openai",
                EMBEDDING_MODEL_NAME="remote",
                OPENAI_BASE_URL=model.url,
                OPENAI_API_KEY=f"{CANARY}-key",
                OPENAI_MAX_RETRIES=0,
                OPENAI_TIMEOUT_SECONDS=0.5,
                LOG_LEVEL="DEBUG",
            ) as server,
            connected(server.address) as client,
        ):
            most = _megabytes(server)
            for fault in FAULTS:
                result.tried += 1
                await asyncio.to_thread(fetch, dsn, "truncate messages, embedding_jobs cascade")
                try:
                    await _kept(client, model, fault, dsn)
                except AssertionError as error:
                    wrong.append(f"{fault}: {error}")
                else:
                    result.held += 1
                model.fault = ""
            assert server.is_running
            assert _megabytes(server) - most < 100, "no more is held of an answer than a sane one has"
        leaks = [line for line in server.text.splitlines() if CANARY in line]
        result.held -= bool(leaks)
        assert not leaks, leaks[:3]
        assert "Traceback" not in server.text
        assert not wrong, "\n".join(wrong)


@pytest.mark.asyncio
async def test_5_a_remote_model_whose_answer_has_no_end_does_not_hold_up_the_end(dsn: str, tmp_path: Path) -> None:
    with item(5, "a remote model whose answer has no end, at the end") as result:
        async with remote_model() as model:
            remote = {"EMBEDDING_PROVIDER": "openai", "OPENAI_BASE_URL": model.url, "ASYNC_EMBEDDINGS": "true"}
            async with serving(dsn, tmp_path, **remote) as server, connected(server.address) as client:
                model.fault = "body"
                result.tried += 1
                answer = await client.memory.IngestMessage(message("kept"), timeout=10)
                await until(lambda: model.asked, 10, "it is being embedded")
                started = time.monotonic()
                server.send(signal.SIGTERM)
                assert await server.ended() == 0
                took = time.monotonic() - started
                assert fetch(dsn, "select id::text, embedding_status from messages") == [(answer.id, "pending")]
                assert took < 6, f"it took {took:.1f} s"
                result.held += 1


def _megabytes(server: ServerProcess) -> int:
    """The most that it has held in memory."""
    assert server.process is not None
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) // 1024


async def _kept(client: Client, model: RemoteModel, fault: str, dsn: str) -> None:
    model.fault, asked = fault, model.asked
    stored: dict[str, str] = {}
    for number in range(2):
        started = time.monotonic()
        answer = await client.memory.IngestMessage(message(f"{CANARY} {fault} {number}"), timeout=10)
        assert answer.embedding_status == "pending", f"stored as {answer.embedding_status}"
        assert time.monotonic() - started < 5, "answered in good time"
        stored[answer.content] = answer.id
    search = pb.SearchMemoriesRequest(tenant_id="chaos", query=f"{CANARY} {fault} 0")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await client.memory.SearchMemories(search, timeout=10)
    assert error.value.code() == grpc.StatusCode.UNAVAILABLE, f"a search gave {error.value.code()}"
    assert CANARY not in f"{error.value.details()} {error.value.trailing_metadata()}", "it leaks"
    assert model.asked > asked, "the model was asked"
    assert fetch(dsn, "select count(*) from message_embeddings") == [(0,)], "embeddings of garbage"
    assert faults_of_store(dsn, stored) == []
    model.fault = ""

    async def embedded() -> bool:
        await asyncio.to_thread(
            fetch, dsn, "update embedding_jobs set run_at = now(), attempts = 0"
        )  # no waiting for the backoff
        fetch(dsn, "notify embedding_jobs")
        return fetch(dsn, "select count(*) from messages where embedding_status = 'completed'") == [(2,)]

    await until(embedded, 25, "both embedded once the model is sane")
    assert faults_of_store(dsn, stored) == []
    assert (await client.memory.SearchMemories(search, timeout=10)).total == 2

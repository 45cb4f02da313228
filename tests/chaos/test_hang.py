"""A model that never answers: calls end, messages are kept as pending, and later calls are served again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.embedding.provider import Window
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import connected, faults_of_store, fetch, item, message, serving, until
from tests.conftest import RunningServer, StartServer

SEARCH = pb.SearchMemoriesRequest(tenant_id="chaos", query="anything")


async def _searched(server: RunningServer, timeout: float = 20.0) -> tuple[grpc.StatusCode, float]:
    """How a search by a text that is in no cache ends, and when."""
    started = time.monotonic()
    code = grpc.StatusCode.OK
    try:
        await server.memory.SearchMemories(
            pb.SearchMemoriesRequest(tenant_id="chaos", query=f"anything {started}"), timeout=timeout
        )
    except grpc.aio.AioRpcError as error:
        code = error.code()
    return code, time.monotonic() - started


@pytest.mark.asyncio
async def test_5_a_provider_that_hangs(start_server: StartServer, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sane = HashingProvider.encode
    hanging, released = threading.Event(), threading.Event()

    def encode(self: HashingProvider, windows: Sequence[Window]) -> Any:
        if hanging.is_set():
            released.wait(120)
        return sane(self, windows)

    monkeypatch.setattr(HashingProvider, "encode", encode)
    with item(5, "a provider that hangs") as result:
        stored: dict[str, str] = {}
        try:
            async with start_server(
                embedding_workers=1, embedding_hang_seconds=0.5, request_timeout_seconds=10, log_level="ERROR"
            ) as server:
                hanging.set()
                for n in range(6):  # more than the threads there are, and those that take their places
                    result.tried += 2
                    started = time.monotonic()
                    answer = await server.memory.IngestMessage(message(f"hang {n}"), timeout=20)
                    assert time.monotonic() - started < 8, "kept as pending before its deadline"
                    assert answer.embedding_status == "pending"
                    stored[answer.content] = answer.id
                    code, took = await _searched(server)
                    assert code == grpc.StatusCode.UNAVAILABLE
                    assert took < 8
                    result.held += 2
                # No thread is left: nobody waits any more.
                result.tried += 1
                code, took = await _searched(server)
                assert (code, took < 2) == (grpc.StatusCode.UNAVAILABLE, True), took
                assert faults_of_store(dsn, stored) == []
                assert fetch(dsn, "select count(*) from message_embeddings") == [(0,)]
                hanging.clear()
                released.set()

                async def embedded() -> bool:
                    await asyncio.to_thread(fetch, dsn, "update embedding_jobs set run_at = now()")
                    fetch(dsn, "notify embedding_jobs")
                    return fetch(dsn, "select count(*) from messages where embedding_status = 'completed'") == [(6,)]

                await until(embedded, 15, "all are embedded once the model answers")
                assert (await _searched(server))[0] == grpc.StatusCode.OK
                assert faults_of_store(dsn, stored) == []
                result.held += 1
        finally:
            released.set()


@pytest.mark.asyncio
async def test_5_a_model_that_is_slower_than_the_deadline(
    start_server: StartServer, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not hang yet, but the call cannot wait: a message is kept as pending, a search ends at its deadline."""
    released = threading.Event()
    sane = HashingProvider.encode

    def encode(self: HashingProvider, windows: Sequence[Window]) -> Any:
        released.wait(120)
        return sane(self, windows)

    monkeypatch.setattr(HashingProvider, "encode", encode)
    with item(5, "a provider that is slower than the deadline") as result:
        result.tried = 2
        try:
            async with start_server(
                embedding_workers=1, request_timeout_seconds=2.0, embedding_hang_seconds=30
            ) as server:
                started = time.monotonic()
                answer = await server.memory.IngestMessage(message("late"))
                assert answer.embedding_status == "pending"
                assert time.monotonic() - started < 4
                assert faults_of_store(dsn, {"late": answer.id}) == []
                result.held += 1
                started = time.monotonic()
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await server.memory.SearchMemories(SEARCH)
                assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                assert time.monotonic() - started < 5
                released.set()
                done = "select count(*) from messages where embedding_status = 'completed'"
                await until(lambda: fetch(dsn, done) == [(1,)], 15, "embedded afterwards")
                result.held += 1
        finally:
            released.set()


@pytest.mark.asyncio
async def test_5_a_remote_model_that_accepts_and_never_answers(dsn: str, tmp_path: Path) -> None:
    silent: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent.append(writer)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    with item(5, "a remote model that accepts and never answers") as result:
        try:
            async with (
                serving(
                    dsn,
                    tmp_path,
                    EMBEDDING_PROVIDER="openai",
                    EMBEDDING_MODEL_NAME="silent",
                    OPENAI_BASE_URL=f"http://127.0.0.1:{port}/v1",
                    OPENAI_TIMEOUT_SECONDS=60,  # longer than anyone's patience: the service has to help itself
                    EMBEDDING_HANG_SECONDS=1,
                    EMBEDDING_WORKERS=1,
                ) as server,
                connected(server.address) as client,
            ):
                stored: dict[str, str] = {}
                for n in range(6):
                    result.tried += 1
                    started = time.monotonic()
                    answer = await client.memory.IngestMessage(message(f"silent {n}"), timeout=15)
                    assert answer.embedding_status == "pending"
                    assert time.monotonic() - started < 8
                    stored[answer.content] = answer.id
                    result.held += 1
                assert silent, "the model was asked"
                with pytest.raises(grpc.aio.AioRpcError) as error:
                    await client.memory.SearchMemories(SEARCH, timeout=15)
                assert error.value.code() == grpc.StatusCode.UNAVAILABLE
                assert faults_of_store(dsn, stored) == []
        finally:
            listener.close()
            for writer in silent:
                writer.transport.abort()
            await listener.wait_closed()

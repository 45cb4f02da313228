"""A model that answers with garbage: the message is stored as pending, whole, and embedded once the model is sane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import numpy as np
import pytest

from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.embedding.provider import Window
from memory_grpc.errors import ProviderDown
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import faults_of_store, fetch, item, message, until
from tests.conftest import RunningServer, StartServer


def _raises(error: Exception) -> Callable[[int], Any]:
    def encode(_: int) -> Any:
        raise error

    return encode


def _nan(count: int) -> Any:
    vectors = np.full((count, 384), 0.05, dtype=np.float32)
    vectors[-1, 7] = np.nan
    return vectors


GARBAGE: dict[str, Callable[[int], Any]] = {
    "wrong dimension": lambda n: np.ones((n, 100), dtype=np.float32),
    "one dimension": lambda n: np.ones((n, 1), dtype=np.float32),
    "a flat vector": lambda n: np.ones(384, dtype=np.float32),
    "scalars": lambda n: np.ones(n, dtype=np.float32),
    "NaN": _nan,
    "infinity": lambda n: np.full((n, 384), np.inf, dtype=np.float32),
    "too large for halfvec": lambda n: np.full((n, 384), 1e30, dtype=np.float32),
    "zeros": lambda n: np.zeros((n, 384), dtype=np.float32),
    "too few": lambda n: np.ones((max(n - 1, 0), 384), dtype=np.float32),
    "too many": lambda n: np.ones((n + 1, 384), dtype=np.float32),
    "None": lambda n: None,
    "text": lambda n: "no vectors today",
    "an exception": _raises(RuntimeError("secret words of the driver")),
    "ProviderDown": _raises(ProviderDown()),
    "MemoryError": _raises(MemoryError()),
}


@pytest.mark.asyncio
async def test_5_garbage_of_the_provider(start_server: StartServer, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sane = HashingProvider.encode
    garbage: list[Callable[[int], Any]] = []

    def encode(self: HashingProvider, windows: Sequence[Window]) -> Any:
        return garbage[0](len(windows)) if garbage else sane(self, windows)

    monkeypatch.setattr(HashingProvider, "encode", encode)
    wrong: list[str] = []
    with item(5, "garbage of the provider") as result:
        async with start_server(request_timeout_seconds=2.0, log_level="ERROR") as server:
            for kind, answer in GARBAGE.items():
                result.tried += 1
                # In a thread: it waits for locks of transactions that this loop must end.
                await asyncio.to_thread(fetch, dsn, "truncate messages, embedding_jobs cascade")
                garbage[:] = [answer]
                try:
                    await _answered_as_documented(kind, server, dsn, garbage)
                except (AssertionError, grpc.aio.AioRpcError) as error:
                    words = f"{error.code().name} {error.details()}" if isinstance(error, grpc.RpcError) else str(error)
                    wrong.append(f"{kind}: {words.splitlines()[0]}")
                else:
                    result.held += 1
            garbage.clear()
        result.note = "; ".join(f"{line.partition(':')[0]} did not" for line in wrong)
        assert not wrong, "\n".join(wrong)


async def _answered_as_documented(
    kind: str, server: RunningServer, dsn: str, garbage: list[Callable[[int], Any]]
) -> None:
    request = pb.BatchIngestMessagesRequest(messages=[message(f"garbage {kind} {n}") for n in range(3)])
    stored = (await server.memory.BatchIngestMessages(request)).messages
    single = await server.memory.IngestMessage(message(f"garbage {kind} alone"))
    everything = {m.content: m.id for m in (*stored, single)}
    statuses = {m.embedding_status for m in (*stored, single)}
    assert statuses == {"pending"}, f"stored as {statuses}"
    assert fetch(dsn, "select count(*) from message_embeddings") == [(0,)], "embeddings of garbage are stored"
    assert fetch(dsn, "select count(*) from message_lexemes") == [(4,)], "half-written"
    assert faults_of_store(dsn, everything) == []
    search = pb.SearchMemoriesRequest(tenant_id="chaos", query=f"garbage {kind} alone")
    try:
        await server.memory.SearchMemories(search)
    except grpc.aio.AioRpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, f"a search gave {error.code()}"
        assert "secret" not in (error.details() or ""), "the provider's words reached a client"
    else:
        raise AssertionError("a search by a garbage vector was answered")

    garbage.clear()
    done = "select count(*) from messages where embedding_status = 'completed'"

    async def embedded() -> bool:
        await asyncio.to_thread(fetch, dsn, "update embedding_jobs set run_at = now()")  # no waiting for the backoff
        fetch(dsn, "notify embedding_jobs")
        return fetch(dsn, done) == [(4,)]

    await until(embedded, 8, "all four embedded")
    assert fetch(dsn, "select count(*) from embedding_jobs") == [(0,)], "jobs are left"
    assert faults_of_store(dsn, everything) == []
    found = await server.memory.SearchMemories(search)
    assert found.items[0].message_id == single.id, "not found after all"

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from prometheus_client import REGISTRY

from memory_grpc.embedding import Embedder, create_provider
from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.embedding.provider import Vectors, Window
from memory_grpc.errors import Draining, EmbeddingUnavailable, ProviderDown, QueueFull
from memory_grpc.settings import Settings

pytestmark = pytest.mark.asyncio


class Gated(HashingProvider):
    """A hashing provider whose batches wait for ``gate``, are counted by ``entered`` and recorded in ``batches``."""

    def __init__(self) -> None:
        super().__init__(64)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.batches: list[list[str]] = []
        self.threads: set[str] = set()
        self.closed = False
        self.poison: dict[str, Exception] = {}

    def encode(self, windows: Sequence[Window]) -> Vectors:
        self.batches.append([" ".join(window.payload) for window in windows])
        self.threads.add(threading.current_thread().name)
        self.entered.release()
        assert self.gate.wait(10)
        for text in self.batches[-1]:
            if text in self.poison:
                raise self.poison[text]
        return super().encode(windows)

    def close(self) -> None:
        self.closed = True


class Stuck(Gated):
    """A gated provider that never comes back from some texts while the gate is shut, which it is from the start."""

    def __init__(self, texts: set[str]) -> None:
        super().__init__()
        self.texts = texts
        self.gate.clear()

    def encode(self, windows: Sequence[Window]) -> Vectors:
        if any(" ".join(window.payload) in self.texts for window in windows):
            self.entered.release()
            assert self.gate.wait(60)
        return HashingProvider.encode(self, windows)


@asynccontextmanager
async def running(provider: HashingProvider, **arguments: Any) -> AsyncIterator[Embedder]:
    embedder = Embedder(provider, **{"workers": 1, **arguments})
    await embedder.start()
    try:
        yield embedder
    finally:
        if isinstance(provider, Gated):
            provider.gate.set()
        await embedder.close()


async def entered(provider: Gated) -> None:
    """A batch has reached the model."""
    assert await asyncio.to_thread(provider.entered.acquire, timeout=10)


async def queued(embedder: Embedder, *texts: str) -> "asyncio.Task[list[Vectors]]":
    """A call that has put its (short) texts into the queue."""
    task = asyncio.create_task(embedder.embed_messages(texts))
    await asyncio.sleep(0)  # runs the task up to its first wait, which comes after it has queued
    return task


def direct(*texts: str) -> Vectors:
    provider = HashingProvider(64)
    return provider.encode([window for text in texts for window in provider.windows(text)])


async def test_messages_come_back_in_order_each_with_its_windows() -> None:
    long = " ".join(f"w{i}" for i in range(600))
    texts = ["one", long, "", "three words here", long]
    async with running(HashingProvider(64)) as embedder:
        results = await embedder.embed_messages(texts)
        assert await embedder.embed_messages([]) == []
    assert [r.shape for r in results] == [(1, 64), (3, 64), (1, 64), (1, 64), (3, 64)]
    for text, result in zip(texts, results, strict=True):
        np.testing.assert_allclose(result, direct(text), atol=1e-6)


async def test_many_concurrent_calls_get_their_own_vectors_in_few_batches() -> None:
    provider = Gated()
    provider.gate.clear()
    texts = [f"text number {i} " + "filler " * (i % 40) for i in range(300)]
    async with running(provider, batch_size=32, workers=2) as embedder:
        calls = [await queued(embedder, text) for text in texts]
        provider.gate.set()
        results = await asyncio.gather(*calls)
    for text, (vectors,) in zip(texts, results, strict=True):
        np.testing.assert_allclose(vectors, direct(text), atol=1e-6)
    assert len(provider.batches) <= 2 + 10  # what two idle workers took at first, then full batches
    assert max(len(batch) for batch in provider.batches) <= 32


async def test_calls_that_wait_share_the_next_batch_and_the_event_loop_stays_free() -> None:
    provider = Gated()
    provider.gate.clear()
    async with running(provider) as embedder:
        first = await queued(embedder, "first")
        await entered(provider)  # the loop runs on while the model is busy, or this line would not be reached
        rest = [await queued(embedder, f"text {i}") for i in range(5)]
        provider.gate.set()
        await asyncio.gather(first, *rest)
    assert [len(batch) for batch in provider.batches] == [1, 5]


async def test_a_query_does_not_wait_for_the_ingest_batch_in_the_model() -> None:
    provider = Gated()
    provider.gate.clear()
    async with running(provider) as embedder:
        ingest = await queued(embedder, "ingest")
        await entered(provider)
        query = asyncio.create_task(embedder.embed_query("question"))
        await entered(provider)
        assert provider.batches == [["ingest"], ["question"]] and not ingest.done()
        provider.gate.set()
        np.testing.assert_allclose(await query, direct("question")[0], atol=1e-6)
        await ingest


async def test_a_query_is_cached_and_read_only() -> None:
    provider = Gated()
    async with running(provider, query_cache_size=2) as embedder:
        one = await embedder.embed_query("one")
        assert (await embedder.embed_query("one")) is one
        assert len(provider.batches) == 1
        with pytest.raises(ValueError):
            one[0] = 1
        for text in ("two", "one", "three", "one", "two"):  # "two" was used least recently when "three" came
            await embedder.embed_query(text)
    assert [batch[0] for batch in provider.batches] == ["one", "two", "three", "two"]


async def test_the_cache_can_be_switched_off() -> None:
    provider = Gated()
    async with running(provider, query_cache_size=0) as embedder:
        await embedder.embed_query("one")
        await embedder.embed_query("one")
    assert len(provider.batches) == 2


async def test_a_long_query_is_its_first_window() -> None:
    words = [f"w{i}" for i in range(1000)]
    async with running(HashingProvider(64)) as embedder:
        vector = await embedder.embed_query(" ".join(words))
    np.testing.assert_allclose(vector, direct(" ".join(words[:256]))[0], atol=1e-6)


async def test_a_cancelled_call_leaves_its_batch_unharmed_and_its_waiting_windows_go() -> None:
    provider = Gated()
    provider.gate.clear()
    async with running(provider, batch_size=2) as embedder:
        running_call = await queued(embedder, "a", "b", "c", "d")
        await entered(provider)
        gone, kept = await queued(embedder, "gone"), await queued(embedder, "kept")
        running_call.cancel()
        gone.cancel()
        await asyncio.gather(running_call, gone, return_exceptions=True)
        assert running_call.cancelled() and gone.cancelled()
        provider.gate.set()
        np.testing.assert_allclose((await kept)[0], direct("kept"), atol=1e-6)
    assert len(provider.batches[0]) == 2
    assert provider.batches[1:] == [["kept"]]


async def test_one_of_a_batch_in_the_model_may_be_cancelled() -> None:
    provider = Gated()
    provider.gate.clear()
    async with running(provider) as embedder:
        first = await queued(embedder, "first")
        await entered(provider)
        gone, kept = await queued(embedder, "gone"), await queued(embedder, "kept")
        provider.gate.set()
        await first
        await entered(provider)
        gone.cancel()
        np.testing.assert_allclose((await kept)[0], direct("kept"), atol=1e-6)
    assert ["gone", "kept"] in [sorted(batch) for batch in provider.batches]


async def test_a_full_queue_refuses_at_once_and_recovers() -> None:
    provider = Gated()
    provider.gate.clear()
    async with running(provider, queue_size=2) as embedder:
        calls = [await queued(embedder, "running")]
        await entered(provider)
        calls += [await queued(embedder, "a"), await queued(embedder, "b")]
        with pytest.raises(QueueFull) as caught:
            await embedder.embed_messages(["c"])
        assert caught.value.retry_after_seconds > 0
        provider.gate.set()
        await asyncio.gather(*calls)
        await embedder.embed_messages(["c"])


async def test_one_large_call_is_accepted_whatever_the_limit() -> None:
    async with running(HashingProvider(64), queue_size=1) as embedder:
        assert len(await embedder.embed_messages([f"t{i}" for i in range(1000)])) == 1000
        (windows,) = await embedder.embed_messages(["wort " * 20_000])
        assert windows.shape == (90, 64)


async def test_a_poison_text_fails_its_own_caller_only() -> None:
    provider = Gated()
    provider.poison = {"poison": ValueError("the text was: poison")}
    provider.gate.clear()
    async with running(provider) as embedder:
        first = await queued(embedder, "first")
        await entered(provider)
        good, bad = await queued(embedder, "good"), await queued(embedder, "poison")
        provider.gate.set()
        await first
        with pytest.raises(EmbeddingUnavailable) as caught:
            await bad
        assert "poison" not in str(caught.value)
        np.testing.assert_allclose((await good)[0], direct("good"), atol=1e-6)
        await embedder.embed_messages(["the thread lives on"])


async def test_when_the_provider_is_down_every_caller_hears_it_after_one_try() -> None:
    provider = Gated()
    provider.poison = {"a": ProviderDown("down for maintenance")}
    provider.gate.clear()
    async with running(provider) as embedder:
        first = await queued(embedder, "first")
        await entered(provider)
        calls = [await queued(embedder, "a"), await queued(embedder, "b")]
        provider.gate.set()
        await first
        results = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(r) for r in results] == [ProviderDown, ProviderDown]
    assert results[0] is not results[1] and str(results[0]) == "down for maintenance"
    assert len(provider.batches) == 2


async def test_a_failed_call_takes_its_waiting_windows_out_of_the_queue() -> None:
    provider = Gated()
    provider.poison = {"poison": ValueError()}
    async with running(provider, batch_size=1) as embedder:
        provider.gate.clear()
        task = asyncio.create_task(embedder.embed_messages(["one", "two", "three", "a long poison"]))
        provider.poison["a long poison"] = ValueError()
        await entered(provider)
        provider.gate.set()
        with pytest.raises(EmbeddingUnavailable):
            await task
        await embedder.embed_messages(["next"])
    assert provider.batches == [["a long poison"], ["next"]]


async def test_closing_finishes_what_was_accepted_then_refuses() -> None:
    provider = Gated()
    provider.gate.clear()
    embedder = Embedder(provider, workers=2)
    await embedder.start()
    calls = [await queued(embedder, f"text {i}") for i in range(3)]
    await entered(provider)
    closing = asyncio.create_task(embedder.close())
    await asyncio.sleep(0)
    with pytest.raises(Draining):
        await embedder.embed_messages(["late"])
    with pytest.raises(Draining):
        await embedder.embed_query("late")
    provider.gate.set()
    await asyncio.gather(*calls, closing)
    await embedder.close()
    assert provider.closed
    assert not [t for t in threading.enumerate() if t.name.startswith("embedding-") and t.is_alive()]


async def test_a_lone_caller_never_waits_for_company() -> None:
    # With an hour as the longest wait, any wait at all would hang this test.
    async with running(HashingProvider(64), batch_wait_seconds=3600) as embedder:
        for _ in range(20):
            await embedder.embed_messages(["text"])
            await embedder.embed_query("text")


async def test_callers_that_come_back_together_are_waited_for() -> None:
    provider = Gated()
    async with running(provider, batch_wait_seconds=3600) as embedder:
        provider.gate.clear()
        first = await queued(embedder, "first")
        await entered(provider)
        pair = [await queued(embedder, "a"), await queued(embedder, "b")]
        provider.gate.set()
        await asyncio.gather(first, *pair)
        again = [await queued(embedder, "c"), await queued(embedder, "d")]  # without the wait, "c" would go alone
        await asyncio.gather(*again)
    assert [sorted(batch) for batch in provider.batches] == [["first"], ["a", "b"], ["c", "d"]]


async def test_queries_use_a_thread_of_their_own_or_a_free_worker() -> None:
    provider = Gated()
    async with running(provider, workers=3) as embedder:
        await asyncio.gather(*(embedder.embed_query(f"q{i}") for i in range(50)))
    assert provider.threads <= {f"embedding-{i}" for i in range(4)}


async def test_what_happened_is_counted() -> None:
    def value(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    def counts() -> list[float]:
        return [
            value("memory_embedding_windows_total", kind="query"),
            value("memory_embedding_windows_total", kind="ingest"),
            value("memory_embedding_query_cache_total", result="hit"),
            value("memory_embedding_query_cache_total", result="miss"),
            value("memory_embedding_batch_size_sum"),
            value("memory_embedding_batch_seconds_count"),
            value("memory_embedding_queue_windows"),
        ]

    before = counts()
    provider = Gated()
    provider.gate.clear()
    async with running(provider) as embedder:
        call = await queued(embedder, "a")
        await entered(provider)
        waiting = [await queued(embedder, "b"), await queued(embedder, "c c")]
        assert counts()[-1] - before[-1] == 2
        provider.gate.set()
        await asyncio.gather(call, *waiting)
        await embedder.embed_query("q")
        await embedder.embed_query("q")
    assert [after - then for after, then in zip(counts(), before, strict=True)] == [1, 3, 1, 1, 4, 3, 0]


async def test_the_default_model_finds_what_a_question_is_about() -> None:
    settings = Settings(_env_file=None)
    embedder = Embedder.of(create_provider(settings), settings)
    await embedder.start()
    try:
        texts = ["The weather is grey today", "I love Python programming", "My cat is asleep"] * 20
        messages = await embedder.embed_messages(texts)
        alone = await asyncio.gather(*(embedder.embed_messages([text]) for text in texts[:3]))
        query = await embedder.embed_query("What programming languages do I like?")
    finally:
        await embedder.close()
    assert embedder.identity.dimensions == 384
    assert int(np.argmax([m[0] @ query for m in messages[:3]])) == 1
    for batched, (single,) in zip(messages, alone, strict=False):
        assert np.abs(batched - single).max() < 1e-5


async def test_a_hanging_batch_ends_its_callers_and_the_next_call_is_served() -> None:
    provider = Stuck({"stuck"})
    async with running(provider, hang_seconds=0.2) as embedder:
        stuck = asyncio.create_task(embedder.embed_messages(["stuck"]))
        with pytest.raises(ProviderDown):
            await asyncio.wait_for(stuck, 5)
        np.testing.assert_allclose((await asyncio.wait_for(embedder.embed_messages(["well"]), 5))[0], direct("well"))


async def test_when_every_thread_hangs_calls_are_refused_at_once_until_one_comes_back() -> None:
    provider = Stuck({"stuck"})
    async with running(provider, hang_seconds=0.2) as embedder:
        # Two threads, and one more in each one's place.
        for _ in range(4):
            with pytest.raises(ProviderDown):
                await asyncio.wait_for(embedder.embed_query("stuck"), 5)
        for _ in range(3):
            with pytest.raises(ProviderDown):
                await asyncio.wait_for(embedder.embed_query("well"), 0.1)
            with pytest.raises(ProviderDown):
                await asyncio.wait_for(embedder.embed_messages(["well"]), 0.1)
        provider.gate.set()
        async with asyncio.timeout(5):
            while True:
                try:
                    await embedder.embed_messages(["well"])
                    break
                except ProviderDown:
                    await asyncio.sleep(0.01)
            await embedder.embed_query("well")
    assert provider.closed


async def test_closing_does_not_wait_for_a_hanging_thread() -> None:
    provider = Stuck({"stuck"})
    embedder = Embedder(provider, workers=1, hang_seconds=0.2)
    await embedder.start()
    stuck = asyncio.create_task(embedder.embed_messages(["stuck"]))
    await asyncio.to_thread(provider.entered.acquire)
    try:
        await asyncio.wait_for(embedder.close(), 5)
        with pytest.raises(ProviderDown):
            await stuck
    finally:
        provider.gate.set()

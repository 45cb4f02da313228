"""Embedding for asyncio: many small calls become few full batches, and the event loop never waits for a model.

Threads: ``workers`` of them embed whatever is next (queries first), one more embeds queries only, so that a search
waits for a running ingest batch neither in the queue nor in the model; when there is no query it sleeps. A batch that
stays in the model for longer than ``hang_seconds`` is given up, and its thread replaced; see ``threads.py``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from memory_grpc import at_work
from memory_grpc.accounts import ACCOUNTS
from memory_grpc.errors import Draining, ProviderDown
from memory_grpc.observability import tracing
from memory_grpc.settings import Settings

from .batch_queue import BatchQueue
from .calls import EmbeddingCall, Kind
from .inference import HANGS, Inference
from .provider import EmbeddingProvider, ModelIdentity, Vectors, Window
from .query_cache import QueryCache
from .tokenising import Tokenising

if TYPE_CHECKING:
    from tokenizers import Tokenizer

LAST_SECONDS = 2.0
"""At the end nobody waits for the model any more, and messages that it has not embedded are pending."""


class Embedder:
    """Micro-batching front of one provider, which it owns and closes. Use from one event loop, after ``start``."""

    def __init__(
        self,
        provider: EmbeddingProvider,
        *,
        workers: int = 0,
        batch_size: int = 64,
        batch_wait_seconds: float = 0.002,
        queue_size: int = 4096,
        query_cache_size: int = 1024,
        hang_seconds: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._cache = QueryCache(query_cache_size)
        self._queue = BatchQueue(
            batch_size=batch_size,
            batch_length=provider.max_batch_length,
            padding_cost=provider.padding_cost,
            batch_wait_seconds=batch_wait_seconds,
            limit=queue_size,
            clock=clock,
        )
        self._inference = Inference(provider, self._queue, workers=workers, hang_seconds=hang_seconds, clock=clock)
        self._tokenising = Tokenising(provider)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    @classmethod
    def of(cls, provider: EmbeddingProvider, settings: Settings) -> Embedder:
        """An embedder with the deployment's settings."""
        return cls(
            provider,
            workers=settings.embedding_workers,
            batch_size=settings.embedding_batch_size,
            batch_wait_seconds=settings.embedding_batch_wait_ms / 1000,
            queue_size=settings.embedding_queue_size,
            query_cache_size=settings.embedding_query_cache_size,
            hang_seconds=settings.embedding_hang_seconds,
        )

    @property
    def identity(self) -> ModelIdentity:
        """The model behind the vectors."""
        return self._provider.identity

    @property
    def tokenizer(self) -> Tokenizer | None:
        """The model's own tokenizer, if it has one here."""
        return self._provider.tokenizer

    async def start(self) -> None:
        """Start the threads."""
        self._loop = asyncio.get_running_loop()
        self._inference.start()

    async def close(self) -> None:
        """Refuse new calls, embed what waits, join the threads, close the provider. Harmless when repeated.

        What takes longer than LAST_SECONDS is given up where the provider can give it up.
        """
        if self._closed:
            return
        self._closed = True
        self._queue.close()
        joined = asyncio.create_task(self._inference.close())
        await asyncio.wait([joined], timeout=LAST_SECONDS)
        await asyncio.to_thread(self._provider.close)
        await joined
        await asyncio.to_thread(self._tokenising.close)

    async def embed_query(self, text: str, *, tenant: str = "") -> Vectors:
        """The text's vector, float32 ``[dimensions]``, read-only; goes ahead of ingest, and is cached.

        Tenants take turns, and share the places in the queue.

        A query longer than the model's window is represented by its first window, which is what
        ``SentenceTransformer.encode`` does and costs the same however long the query is.
        Raises QueueFull, Draining, EmbeddingUnavailable.
        """
        if (cached := self._cache.get(self.identity, text)) is not None:
            return cached
        with tracing.span("embed", kind="query"):
            async with at_work.paused():
                windows = await self._windows([text], is_query=True)
                vector: Vectors = (await self._embed("query", windows[0][:1], tenant))[0]
        self._cache.put(self.identity, text, vector)
        return vector

    def forget(self) -> None:
        """Forgets every query: one may be word for word what somebody wants forgotten."""
        self._cache.clear()

    async def embed_messages(
        self, texts: Sequence[str], *, tenant: str = "", is_background: bool = False
    ) -> list[Vectors]:
        """For each text, in order, float32 ``[windows, dimensions]``: one row unless it is longer than a window.

        All or nothing: raises QueueFull (at once, and never in the background), Draining, EmbeddingUnavailable.
        Cancelling the call takes its waiting windows out of the queue and leaves other calls alone.
        """
        if not texts:
            return []
        with tracing.span("embed", kind="ingest", texts=len(texts)):
            windows = await self._windows(texts)
            flat = [window for group in windows for window in group]
            vectors = await self._embed("ingest", flat, tenant, is_background=is_background)
        ends = np.cumsum([len(group) for group in windows])
        return np.split(vectors, ends[:-1])

    async def _windows(self, texts: Sequence[str], *, is_query: bool = False) -> list[list[Window]]:
        if self._closed:
            raise Draining()
        return await self._tokenising.windows(texts, is_query=is_query)

    async def _embed(
        self, kind: Kind, windows: Sequence[Window], tenant: str, *, is_background: bool = False
    ) -> Vectors:
        if self._loop is None:
            raise RuntimeError("Embedder.start() has not been called")
        future: asyncio.Future[None] = self._loop.create_future()
        call = EmbeddingCall(
            kind, windows, lambda: None if future.done() else future.set_result(None), tenant, is_background
        )
        call.step = tracing.here()
        call.vectors = np.empty((len(windows), self.identity.dimensions), dtype=np.float32)
        for_queries, for_ingest = self._inference.serving()
        if not (for_queries if kind == "query" else for_ingest):
            raise ProviderDown(HANGS)
        self._queue.submit(call)
        ACCOUNTS.charge("windows", len(windows), tenant)
        try:
            await future
        except asyncio.CancelledError:
            self._queue.drop(call)
            raise
        if call.error is not None:
            raise call.error
        return call.vectors

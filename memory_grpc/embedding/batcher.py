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
import structlog

from memory_grpc.errors import Draining, EmbeddingUnavailable, ProviderDown
from memory_grpc.settings import Settings

from . import stats
from .batch_queue import BatchQueue
from .calls import KINDS, EmbeddingCall, Item, Kind
from .provider import EmbeddingProvider, ModelIdentity, Vectors, Window, checked
from .query_cache import QueryCache
from .threads import Worker, Workers, default_workers
from .tokenising import Tokenising

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = structlog.get_logger(__name__)

_HANGS = "The embedding model does not answer; try again."


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
        self._workers = Workers(workers or default_workers(), self._work, clock)
        self._hang_seconds = hang_seconds
        self._watching: asyncio.Task[None] | None = None
        self._cache = QueryCache(query_cache_size)
        self._clock = clock
        self._queue = BatchQueue(
            batch_size=batch_size,
            batch_length=provider.max_batch_length,
            padding_cost=provider.padding_cost,
            batch_wait_seconds=batch_wait_seconds,
            limit=queue_size,
            clock=clock,
        )
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
        self._workers.start()
        self._watching = asyncio.create_task(self._watch(), name="embedding_watch")

    async def close(self) -> None:
        """Refuse new calls, embed what waits, join the threads, close the provider. Harmless when repeated."""
        if self._closed:
            return
        self._closed = True
        self._queue.close()
        await asyncio.to_thread(self._workers.join)  # the watch goes on meanwhile: a hanging thread is not waited for
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        await asyncio.to_thread(self._tokenising.close)
        await asyncio.to_thread(self._provider.close)

    async def embed_query(self, text: str, *, tenant: str = "") -> Vectors:
        """The text's vector, float32 ``[dimensions]``, read-only; goes ahead of ingest, and is cached.

        Tenants take turns, and share the places in the queue.

        A query longer than the model's window is represented by its first window, which is what
        ``SentenceTransformer.encode`` does and costs the same however long the query is.
        Raises QueueFull, Draining, EmbeddingUnavailable.
        """
        if (cached := self._cache.get(self.identity, text)) is not None:
            return cached
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
        call.vectors = np.empty((len(windows), self.identity.dimensions), dtype=np.float32)
        for_queries, for_ingest = self._workers.serving()
        if not (for_queries if kind == "query" else for_ingest):
            raise ProviderDown(_HANGS)
        self._queue.submit(call)
        try:
            await future
        except asyncio.CancelledError:
            self._queue.drop(call)
            raise
        if call.error is not None:
            raise call.error
        return call.vectors

    async def _watch(self) -> None:
        """Answers for the model when it does not: callers of an overdue batch, and those no thread is left for."""
        while True:
            await asyncio.sleep(min(self._hang_seconds / 4, 1.0))
            for items in self._workers.overdue(self._hang_seconds):
                log.error("embedding_hangs", windows=len(items), seconds=self._hang_seconds)
                self._fail(items, ProviderDown(_HANGS))
            for kind, is_served in zip(KINDS, self._workers.serving(), strict=True):
                if not is_served:
                    self._notify(self._queue.fail_all(kind, lambda: ProviderDown(_HANGS)))

    def _work(self, worker: Worker) -> None:
        """An inference thread's life."""
        while items := self._queue.take(queries_only=worker.queries_only):
            started = self._clock()
            self._workers.busy(worker, items)
            try:
                self._run(items)
            except Exception as error:  # the thread must outlive whatever happens, or every later call would hang
                log.error("embedding_batch_lost", error=type(error).__name__)
                self._fail(items, error)
            finally:
                was_lost, is_replaced = self._workers.idle(worker)
                self._queue.finish(items, self._clock() - started)
            if was_lost:
                log.warning("embedding_came_back", seconds=round(self._clock() - started, 1))
            if is_replaced:
                return

    def _run(self, items: list[Item]) -> None:
        """Embed a batch. If it fails and a text may be at fault, each caller's windows are tried once more alone."""
        try:
            vectors = self._encode(items)
        except Exception as error:
            callers = {id(item.call): item.call for item in items}
            if len(callers) == 1 or isinstance(error, ProviderDown):
                self._fail(items, error)
                return
            log.warning("embedding_batch_split", callers=len(callers), error=type(error).__name__)
            for call in callers.values():
                own = [item for item in items if item.call is call]
                try:
                    vectors = self._encode(own)
                except Exception as alone:
                    self._fail(own, alone)
                else:
                    self._deliver(own, vectors)
        else:
            self._deliver(items, vectors)

    def _encode(self, items: list[Item]) -> Vectors:
        started = self._clock()
        given = self._provider.encode([item.window for item in items])
        # A provider is somebody else's model or service: what it gives is looked at before anybody's row is written.
        vectors = checked(np.asarray(given), self.identity.dimensions, len(items))
        stats.BATCH_SECONDS.observe(self._clock() - started)
        stats.BATCH_SIZE.observe(len(items))
        stats.WINDOWS.labels(items[0].call.kind).inc(len(items))
        return vectors

    def _deliver(self, items: list[Item], vectors: Vectors) -> None:
        self._notify(self._queue.deliver(items, vectors))

    def _fail(self, items: list[Item], error: Exception) -> None:
        # The error's own words stay out of the log and the answer: they may hold content.
        log.warning("embedding_batch_failed", windows=len(items), error=type(error).__name__)
        for call in {id(item.call): item.call for item in items}.values():
            # A fresh error each: raising one instance in several tasks would tangle their tracebacks.
            fresh = type(error)(str(error)) if isinstance(error, EmbeddingUnavailable) else EmbeddingUnavailable()
            if self._queue.fail(call, fresh):
                self._notify([call])

    def _notify(self, calls: list[EmbeddingCall]) -> None:
        """Wake callers, from an inference thread, with one wake-up of the loop; a loop that is gone needs none."""
        if not calls or self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(_wake, calls)
        except RuntimeError:
            log.warning("embedding_callers_gone", callers=len(calls))


def _wake(calls: Sequence[EmbeddingCall]) -> None:
    for call in calls:
        call.on_done()

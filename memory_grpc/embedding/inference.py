"""Inference: what the threads do with the batches of a queue, and what is told to whoever waits for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import numpy as np
import structlog

from memory_grpc.errors import EmbeddingUnavailable, ProviderDown
from memory_grpc.observability import tracing

from . import stats
from .batch_queue import BatchQueue
from .calls import KINDS, EmbeddingCall, Item
from .provider import EmbeddingProvider, Vectors, checked
from .threads import Worker, Workers, default_workers

log = structlog.get_logger(__name__)

HANGS = "The embedding model does not answer; try again."


class Inference:
    """The threads of one provider, which take from one queue. Started from an event loop, which they wake."""

    def __init__(
        self,
        provider: EmbeddingProvider,
        queue: BatchQueue,
        *,
        workers: int,
        hang_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._provider = provider
        self._queue = queue
        self._workers = Workers(workers or default_workers(), self._work, clock)
        self._hang_seconds = hang_seconds
        self._clock = clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts the threads, and watches them."""
        self._loop = asyncio.get_running_loop()
        self._workers.start()
        self._watching = asyncio.create_task(self._watch(), name="embedding_watch")

    async def close(self) -> None:
        """Joins the threads, which end once the closed queue is empty."""
        await asyncio.to_thread(self._workers.join)  # the watch goes on meanwhile: a hanging thread is not waited for
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])

    def serving(self) -> tuple[bool, bool]:
        """Whether a thread is left for queries, and for messages."""
        return self._workers.serving()

    async def _watch(self) -> None:
        """Answers for the model when it does not: callers of an overdue batch, and those no thread is left for."""
        while True:
            await asyncio.sleep(min(self._hang_seconds / 4, 1.0))
            for items in self._workers.overdue(self._hang_seconds):
                log.error("embedding_hangs", windows=len(items), seconds=self._hang_seconds)
                self._fail(items, ProviderDown(HANGS))
            for kind, is_served in zip(KINDS, self._workers.serving(), strict=True):
                if not is_served:
                    self._notify(self._queue.fail_all(kind, lambda: ProviderDown(HANGS)))

    def _work(self, worker: Worker) -> None:
        """An inference thread's life."""
        while items := self._queue.take(queries_only=worker.queries_only):
            started = self._clock()
            self._workers.busy(worker, items)
            is_embedded = False
            try:
                is_embedded = self._run(items)
            except Exception as error:  # the thread must outlive whatever happens, or every later call would hang
                log.error("embedding_batch_lost", error=type(error).__name__)
                self._fail(items, error)
            finally:
                was_lost, is_replaced = self._workers.idle(worker)
                self._queue.finish(items, self._clock() - started, is_embedded=is_embedded)
            if was_lost:
                log.warning("embedding_came_back", seconds=round(self._clock() - started, 1))
            if is_replaced:
                return

    def _run(self, items: list[Item]) -> bool:
        """Embed a batch; whether that was done at once.

        If it fails and a text may be at fault, each caller's windows are tried once more alone.
        """
        try:
            vectors = self._encode(items)
        except Exception as error:
            callers = {id(item.call): item.call for item in items}
            if len(callers) == 1 or isinstance(error, ProviderDown):
                self._fail(items, error)
                return False
            log.warning("embedding_batch_split", callers=len(callers), error=type(error).__name__)
            for call in callers.values():
                own = [item for item in items if item.call is call]
                try:
                    vectors = self._encode(own)
                except Exception as alone:
                    self._fail(own, alone)
                else:
                    self._deliver(own, vectors)
            return False
        self._deliver(items, vectors)
        return True

    def _encode(self, items: list[Item]) -> Vectors:
        started = self._clock()
        steps = [item.call.step for item in items if item.call.step is not None]
        with tracing.shared("embed.batch", steps, kind=items[0].call.kind, windows=len(items)):
            given = self._provider.encode([item.window for item in items])
        # A provider is somebody else's model or service: what it gives is looked at before anybody's row is written.
        vectors = checked(np.asarray(given), self._provider.identity.dimensions, len(items))
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

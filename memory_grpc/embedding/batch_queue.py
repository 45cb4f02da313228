"""The queue between callers and inference threads: who waits, and which windows make the next batch.

::

    submit(call) ──▶ queries: tenant A: q1 q2 …   ──▶ take() ──▶ [windows of similar length, of one kind]
                     ingests: tenant A: c1 c2 …
                              tenant B: c3 …

Queries go first. Tenants take turns, and so do the calls of a tenant (``turns.py``): the call in front gives the batch
its first window, and every tenant and call may add windows of about that length up to an even share. So a tenant that
sends a thousand long messages and one that sends a short one both advance.
All methods are thread-safe; nothing here knows of asyncio or of the model.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from memory_grpc.errors import Draining, QueueFull

from . import stats
from .calls import KINDS, EmbeddingCall, Item, Kind
from .pace import Pace
from .provider import Vectors
from .selection import similar
from .turns import Turns


class BatchQueue:
    """Bounded by windows waiting, per kind; see the module's docstring for the order."""

    def __init__(
        self,
        *,
        batch_size: int,
        batch_length: int,
        padding_cost: float,
        batch_wait_seconds: float,
        limit: int,
        clock: Callable[[], float],
    ) -> None:
        self._batch_size = batch_size
        self._batch_length = batch_length
        self._padding_cost = padding_cost
        self._wait = batch_wait_seconds
        self._limit = limit
        self._clock = clock
        lock = threading.Lock()
        self._changed = threading.Condition(lock)
        # Apart, so that a thread that takes nothing but queries is not woken for every message.
        self._asked = threading.Condition(lock)
        self._turns: dict[Kind, Turns] = {"query": Turns(), "ingest": Turns()}
        self._paces: dict[Kind, Pace] = {"query": Pace(clock), "ingest": Pace(clock)}
        self._length = 0  # of all windows waiting
        self._in_flight = 0  # ingest batches in the model
        self._expected = 1  # callers in the last ingest batch
        self._rate = 100.0  # windows a second of one thread, for the hint in QueueFull
        self._closing = False

    def submit(self, call: EmbeddingCall) -> None:
        """Queue a call's windows; QueueFull at once past the limit, Draining once closing.

        The limit is shared evenly by the tenants that have windows waiting. A call that finds none of its tenant's is
        accepted whatever its size: it could never be otherwise. So is one in the background: they come one by one.
        """
        with self._changed:
            if self._closing:
                raise Draining()
            turns = self._turns[call.kind]
            waiting = turns.of(call.tenant)
            is_too_much = waiting + len(call.windows) > turns.share(call.tenant, self._limit)
            if waiting and is_too_much and not call.is_background:
                raise QueueFull(retry_after_seconds=min(max(turns.windows / self._rate, 0.1), 60.0))
            turns.add(call)
            self._paces[call.kind].lately.came(call.tenant)
            self._count(len(call.windows), sum(window.length for window in call.windows))
            if call.kind == "query":
                self._asked.notify_all()
            self._changed.notify_all()

    def drop(self, call: EmbeddingCall) -> None:
        """Forget a call: its waiting windows leave the queue, those in a batch are embedded for nothing."""
        with self._changed:
            self._drop(call)

    def take(self, *, queries_only: bool = False) -> list[Item]:
        """The next batch, at least one item; blocks for it. Empty when closing and nothing is left."""
        with self._changed:
            while True:
                if self._turns["query"].windows:
                    return self._pick("query")
                if not queries_only and self._turns["ingest"].windows:
                    self._linger()
                    # Either may have come or gone during the wait.
                    for kind in KINDS:
                        if self._turns[kind].windows:
                            return self._pick(kind)
                    continue
                if self._closing:
                    return []
                (self._asked if queries_only else self._changed).wait()

    def finish(self, items: Sequence[Item], seconds: float, *, is_embedded: bool = True) -> None:
        """The model is done with a batch that took ``seconds``, in which it was embedded or not."""
        kind = items[0].call.kind
        with self._changed:
            if is_embedded:  # to refuse a batch may take no time at all
                self._paces[kind].took(sum(item.window.length for item in items), seconds)
            if kind == "ingest":
                self._in_flight -= 1
                self._expected = len({id(item.call) for item in items})
            self._rate += 0.2 * (len(items) / max(seconds, 1e-6) - self._rate)
            self._changed.notify_all()

    def deliver(self, items: Sequence[Item], vectors: Vectors) -> list[EmbeddingCall]:
        """Write the rows of ``vectors`` into the items' calls; the calls that are complete now."""
        done: list[EmbeddingCall] = []
        with self._changed:
            for item, vector in zip(items, vectors, strict=True):
                call = item.call
                if call.over or call.vectors is None:
                    continue
                call.vectors[item.index] = vector
                call.left -= 1
                if call.left == 0:
                    call.over = True
                    done.append(call)
        return done

    def fail(self, call: EmbeddingCall, error: Exception) -> bool:
        """End a call with ``error``; False when it was over already."""
        with self._changed:
            if call.over:
                return False
            self._drop(call)
            call.error = error
            return True

    def fail_all(self, kind: Kind, error: Callable[[], Exception]) -> list[EmbeddingCall]:
        """End every call of a kind that has windows waiting, each with an error of its own; the calls that it ended."""
        with self._changed:
            waiting = self._turns[kind].calls
        return [call for call in waiting if self.fail(call, error())]

    def close(self) -> None:
        """Accept nothing more; ``take`` hands out what is left, then empty batches."""
        with self._changed:
            self._closing = True
            self._asked.notify_all()
            self._changed.notify_all()

    def _drop(self, call: EmbeddingCall) -> None:
        call.over = True
        if call.waiting:
            self._count(-len(call.waiting), -sum(call.windows[i].length for i in call.waiting))
            self._turns[call.kind].drop(call)

    def _count(self, change: int, length: int) -> None:
        self._length += length
        stats.QUEUE_WINDOWS.inc(change)

    def _linger(self) -> None:
        """Give a small batch a moment to grow, but only when others are likely to come.

        They are when another ingest batch is running, or when the last one served several callers, who may all be
        about to send their next. A lone caller never waits.
        """
        deadline = self._clock() + self._wait
        while (
            not self._closing
            and not self._turns["query"].windows
            and 0 < self._turns["ingest"].windows < self._batch_size
            and self._length < self._batch_length
        ):
            enough = self._in_flight == 0 and self._turns["ingest"].count() >= self._expected
            left = deadline - self._clock()
            if enough or left <= 0:
                return
            self._changed.wait(left)

    def _pick(self, kind: Kind) -> list[Item]:
        turns = self._turns[kind]
        candidates = turns.candidates(self._batch_size)
        longest = self._paces[kind].longest({item.call.tenant for item in candidates})
        batch = similar(
            candidates,
            batch_size=self._batch_size,
            batch_length=min(self._batch_length, longest),
            padding_cost=self._padding_cost,
        )
        turns.take(batch)
        self._count(-len(batch), -sum(item.window.length for item in batch))
        if kind == "ingest":
            self._in_flight += 1
        return batch
